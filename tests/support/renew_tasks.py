"""Renew what is kept beside the shipped tasks: ``python tests/support/renew_tasks.py`` after a change under ``tasks/``.

That is the editors' header of each task file, the schema that it names, and the digest of each task's content, by which
a test sees that a task changed without a new version.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.task_file import editor_schema
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.scorers import METRICS

ROOT = Path(__file__).parents[2]
TASKS = ROOT / "tasks"
SCHEMA = TASKS / "task.schema.json"
DIGESTS = ROOT / "tests/benchmark/task_digests.json"
HEADER = "# yaml-language-server: $schema=../task.schema.json"
COMMAND = "python tests/support/renew_tasks.py"


def task_digests() -> dict[str, dict[str, Any]]:
    """Version and digest of every shipped task by its name."""
    tasks = TaskLibrary(METRICS).load(["*"])
    return {task.name: {"version": task.spec.version, "digest": task.digest[:16]} for task in tasks}


def unversioned(kept: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Names of tasks whose content changed while their version was not raised."""
    return [
        name
        for name in sorted(kept.keys() & found.keys())
        if found[name]["digest"] != kept[name]["digest"] and found[name]["version"] <= kept[name]["version"]
    ]


def main() -> None:
    """Write headers, schema and digests; nothing where a task needs a new version first."""
    kept, found = json.loads(DIGESTS.read_text()), task_digests()
    if names := unversioned(kept, found):
        sys.exit(f"raise the version of: {', '.join(names)}")
    for entry in TaskLibrary(METRICS).tasks:
        text = entry.file.read_text()
        if not text.startswith(HEADER):
            entry.file.write_text(f"{HEADER}\n{text}")
    SCHEMA.write_text(json.dumps(editor_schema(), indent=1) + "\n")
    DIGESTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
