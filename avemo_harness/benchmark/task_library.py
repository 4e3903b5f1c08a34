"""Find tasks and groups by name in the shipped folder, in added folders, or by the path of a YAML."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.benchmark.yaml_file import read_yaml
from avemo_harness.errors import TaskError

if TYPE_CHECKING:
    from avemo_harness.benchmark.task import GroupSpec, ScorerMetrics
    from avemo_harness.benchmark.task_file import Task

TABLE_ORDER = ("full_av", "audio_only", "video_only", "conflict")
SHIPPED = Path(__file__).parent.parent / "tasks"


@dataclass(frozen=True, slots=True)
class Entry:
    """What listing needs to know of a YAML, as far as the file itself says it: a task, or a group with its title."""

    name: str
    file: Path
    group: str | None = None
    title: str | None = None
    condition: str | None = None


class TaskLibrary:
    """The tasks of the shipped folder and of `include` folders.

    Building one reads no file; listing reads each YAML once without checking it; loading checks.
    """

    def __init__(self, scorers: ScorerMetrics, include: Sequence[Path] = ()) -> None:
        self.scorers = scorers
        self.folders = [SHIPPED, *include]
        for folder in include:
            if not folder.is_dir():
                raise TaskError(f"{folder}: no such folder of tasks (--include_path)")

    @cached_property
    def _entries(self) -> tuple[dict[str, Entry], dict[str, Entry]]:
        tasks: dict[str, Entry] = {}
        groups: dict[str, Entry] = {}
        for folder in self.folders:
            for file in sorted(folder.rglob("*.yaml")):
                if not file.name.startswith("_"):
                    _index(file, tasks, groups)
        return tasks, groups

    @property
    def tasks(self) -> list[Entry]:
        """Every task, by name."""
        return sorted(self._entries[0].values(), key=lambda entry: entry.name)

    @property
    def groups(self) -> list[Entry]:
        """Every group that has a YAML of its own, by name."""
        return sorted(self._entries[1].values(), key=lambda entry: entry.name)

    def members(self, group: str) -> list[Entry]:
        """The tasks that name a group, in the order of the benchmark's table."""
        return sorted((entry for entry in self.tasks if entry.group == group), key=_table_order)

    def files_of(self, wanted: str) -> list[Path]:
        """The task YAMLs that a name, glob, group or path stands for.

        Raises:
            TaskError: nothing has that name; the message gives the nearest names.
        """
        if wanted.endswith((".yaml", ".yml")):
            # Unlike their like in `pathlib`, these take any text for a path.
            path = os.path.expanduser(wanted)
            if not os.path.isfile(path):
                raise TaskError(f"{wanted}: no such task file")
            return [Path(path)]
        names = {entry.name: entry for entry in self.tasks}
        if wanted in names:
            return [names[wanted].file]
        found = self.members(wanted) or [e for e in self.tasks if fnmatchcase(e.name, wanted)]
        if not found:
            known = [*names, *(entry.name for entry in self.groups)]
            close = get_close_matches(wanted, known, n=3)
            hint = f"nearest: {', '.join(close)}" if close else "see `avemo-eval ls`"
            raise TaskError(f"unknown task or group {wanted!r}; {hint}")
        return [entry.file for entry in found]

    def load(self, wanted: Sequence[str]) -> list[Task]:
        """Load tasks by names, globs, groups or paths, each once, in the order asked.

        Raises:
            TaskError: an unknown name, or everything that is wrong with the files.
        """
        from avemo_harness.benchmark.task_file import load_task_file

        files = list(dict.fromkeys(file for name in wanted for file in self.files_of(name)))
        problems, tasks = [], []
        for file in files:
            try:
                tasks.append(load_task_file(file, self.scorers))
            except TaskError as error:
                problems.append(str(error))
        if problems:
            raise TaskError("\n".join(problems))
        names = [task.name for task in tasks]
        for task in tasks:
            if names.count(task.name) > 1:
                raise TaskError(f"two of the files asked for define a task {task.name!r}; rename one")
        return tasks

    def load_group(self, name: str) -> GroupSpec | None:
        """The layout of a group's row; None for a group without a YAML of its own."""
        from avemo_harness.benchmark.task_file import load_group_file

        entry = self._entries[1].get(name)
        return load_group_file(entry.file, self.scorers) if entry else None


def _table_order(entry: Entry) -> int:
    """Conditions in the order of the table; a task whose file names none, such as a conflict, comes last."""
    return TABLE_ORDER.index(entry.condition) if entry.condition in TABLE_ORDER else len(TABLE_ORDER)


def _index(file: Path, tasks: dict[str, Entry], groups: dict[str, Entry]) -> None:
    values = read_yaml(file).values
    is_group = "columns" in values or ("group" in values and "task" not in values)
    name = values.get("group" if is_group else "task")
    if not isinstance(name, str):
        raise TaskError(f"{file}:1: neither 'task' nor 'group' names what this file defines")
    entries = groups if is_group else tasks
    if name in entries:
        raise TaskError(f"{file}:1: {name!r} is already defined in {entries[name].file}")
    facts = {key: value for key in ("group", "title", "condition") if isinstance(value := values.get(key), str)}
    entries[name] = Entry(name, file, **facts)
