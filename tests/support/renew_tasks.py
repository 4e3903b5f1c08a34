"""Renew what is kept beside the shipped tasks: ``python tests/support/renew_tasks.py`` after a change under ``tasks/``.

That is the editors' header of each task file, the schema that it names, the digest of each task's content, by which
a test sees that a task changed without a new version, the index by which they are listed without being parsed, and the
list of benchmarks in `tasks/README.md`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.group import GroupSpec
from avemo_harness.benchmark.task import LabelOutput, NumberOutput, TaskSpec
from avemo_harness.benchmark.task_file import editor_schema
from avemo_harness.benchmark.task_index import INDEX, file_digest, summary
from avemo_harness.benchmark.task_library import SHIPPED, TaskLibrary
from avemo_harness.benchmark.yaml_file import read_yaml
from avemo_harness.scorers import METRICS
from avemo_harness.text import markdown_table

ROOT = Path(__file__).parents[2]
TASKS = ROOT / "tasks"
GUIDE = TASKS / "README.md"
SCHEMA = TASKS / "task.schema.json"
DIGESTS = ROOT / "tests/benchmark/task_digests.json"
HEADER = "# yaml-language-server: $schema=../task.schema.json"
COMMAND = "python tests/support/renew_tasks.py"


def task_digests() -> dict[str, dict[str, Any]]:
    """Version and digest of every shipped task by its name."""
    tasks = TaskLibrary(METRICS).load(["*"])
    return {task.name: {"version": task.spec.version, "digest": task.digest[:16]} for task in tasks}


def index_of_files() -> str:
    """The text of the index, a line a YAML in the order of their paths."""
    files = [file for file in sorted(TASKS.rglob("*.yaml")) if not file.name.startswith("_")]
    known = {file_digest(file.read_bytes()): summary(read_yaml(file).values) for file in files}
    lines = (f"{json.dumps(digest)}: {json.dumps(facts, ensure_ascii=False)}" for digest, facts in known.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def unversioned(kept: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Names of tasks whose content changed while their version was not raised."""
    return [
        name
        for name in sorted(kept.keys() & found.keys())
        if found[name]["digest"] != kept[name]["digest"] and found[name]["version"] <= kept[name]["version"]
    ]


def benchmarks_page(library: TaskLibrary) -> str:
    """The list of benchmarks: collections with their groups, and a row for each group that says where it is from."""
    groups = {entry.name: group for entry in library.groups if (group := library.load_group(entry.name))}
    collections = [group for group in groups.values() if group.groups]
    order = dict.fromkeys([*(name for group in collections for name in group.groups), *groups])
    shown = [groups[name] for name in order if name in groups and groups[name].benchmark is not None]
    lines = [
        f"- `{group.group}`: {group.title}: {', '.join(f'`{name}`' for name in group.groups)}" for group in collections
    ]
    if shown:
        head = ("group", "what is asked", "languages", "labels or options", "licence", "how the data come")
        lines += ["", markdown_table(head, [_benchmark_row(library, group) for group in shown])]
    return "\n".join(lines or ["None is shipped."]).strip()


def _benchmark_row(library: TaskLibrary, group: GroupSpec) -> list[str]:
    about = group.benchmark
    assert about is not None
    tasks = [task.spec for task in library.load([group.group])]
    readme = next(entry.file.parent for entry in library.groups if entry.name == group.group) / "README.md"
    name = f"`{group.group}`"
    conditions = ", ".join(dict.fromkeys(task.condition.name for task in tasks))
    return [
        f"[{name}]({readme.relative_to(SHIPPED).as_posix()})" if readme.is_file() else name,
        f"{group.title} ({conditions})",
        ", ".join(about.languages),
        "; ".join(dict.fromkeys(map(_answers, tasks))),
        f"[{about.licence}]({about.homepage})" + (", not passed on" if about.restricted else ""),
        f"`{about.obtain}`" if about.obtain else "from the Hub",
    ]


def _answers(task: TaskSpec) -> str:
    output = task.output
    if isinstance(output, LabelOutput):
        return f"{len(output.labels)}: {', '.join(output.labels)}"
    if isinstance(output, NumberOutput):
        return f"a number from {output.low:g} to {output.high:g}"
    return {"choice": "options by letter", "text": "words", "spoken_response": "a spoken reply"}[output.type]


BEGIN, END = f"<!-- benchmarks: made by {COMMAND} -->", "<!-- end of the benchmarks -->"


def guide_with_benchmarks(guide: str, page: str) -> str:
    """The guide with the list between its marks (ValueError: it lacks one of them)."""
    before, begin, rest = guide.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{GUIDE}: lacks {BEGIN!r} or {END!r}")
    return f"{before}{begin}\n\n{page}\n\n{end}{after}"


def main() -> None:
    """Write headers, schema, digests and the list; nothing where a task needs a new version first."""
    kept, found = json.loads(DIGESTS.read_text()), task_digests()
    if names := unversioned(kept, found):
        sys.exit(f"raise the version of: {', '.join(names)}")
    for entry in TaskLibrary(METRICS).tasks:
        text = entry.file.read_text()
        if not text.startswith(HEADER):
            entry.file.write_text(f"{HEADER}\n{text}")
    SCHEMA.write_text(json.dumps(editor_schema(), indent=1) + "\n")
    DIGESTS.write_text(json.dumps(found, indent=1) + "\n")
    INDEX.write_text(index_of_files())
    GUIDE.write_text(guide_with_benchmarks(GUIDE.read_text(), benchmarks_page(TaskLibrary(METRICS))))


if __name__ == "__main__":
    main()
