"""Find tasks and groups by name, glob or file: shipped, in added folders and in installed packages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.yaml_file import read_yaml
from avemo_harness.errors import TaskError
from avemo_harness.registry import Kind, installed, nearest

if TYPE_CHECKING:
    from avemo_harness.benchmark.task import GroupSpec, ScorerMetrics
    from avemo_harness.benchmark.task_file import Task

TABLE_ORDER = ("full_av", "audio_only", "video_only", "conflict")
SHIPPED = Path(__file__).parent.parent / "tasks"
TASK = Kind("task", TaskError)
"""An installed package names a package of its own whose folder holds task YAMLs."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Entry of the list of tasks: what a YAML itself says of a task, or of a group with its title.

    Args:
        package: the installed package that it comes from; None for the shipped folder and for added ones.
    """

    name: str
    file: Path
    group: str | None = None
    title: str | None = None
    condition: str | None = None
    package: str | None = None


@dataclass(frozen=True, slots=True)
class _Index:
    """Tasks and groups by their names."""

    tasks: dict[str, Entry] = field(default_factory=dict)
    groups: dict[str, Entry] = field(default_factory=dict)

    def add(self, file: Path, package: str | None = None) -> None:
        """Take in what a YAML defines (TaskError: nothing, or a name that is taken)."""
        values = _values_of(file, file.stat().st_mtime_ns if file.exists() else 0)
        is_group = "columns" in values or ("group" in values and "task" not in values)
        name = values.get("group" if is_group else "task")
        if not isinstance(name, str):
            raise TaskError(f"{file}:1: neither 'task' nor 'group' names what this file defines")
        entries = self.groups if is_group else self.tasks
        if other := entries.get(name):
            of_package = f" of the installed package {other.package}" if other.package else ""
            raise TaskError(f"{file}:1: {name!r} is already defined in {other.file}{of_package}")
        facts = {key: value for key in ("group", "title", "condition") if isinstance(value := values.get(key), str)}
        entries[name] = Entry(name, file, **facts, package=package)

    def members(self, group: str) -> list[Entry]:
        return sorted(
            (entry for entry in self.tasks.values() if entry.group == group),
            key=lambda entry: (_table_order(entry), entry.name),
        )

    def matching(self, wanted: str) -> list[Entry]:
        """The task of a name, else the tasks of a group, else those that a glob matches."""
        if wanted in self.tasks:
            return [self.tasks[wanted]]
        by_name = [self.tasks[name] for name in sorted(self.tasks)]
        return self.members(wanted) or [entry for entry in by_name if fnmatchcase(entry.name, wanted)]


class TaskLibrary:
    """The tasks of the shipped folder and of `include` folders, and behind them those of installed packages.

    Building one reads no file; listing reads each YAML once without checking it; loading checks. Installed packages are
    looked at only for what no folder has, so that installing one never changes what a name stands for.
    """

    def __init__(self, scorers: ScorerMetrics, include: Sequence[Path] = ()) -> None:
        self.scorers = scorers
        self.folders = [SHIPPED, *include]
        for folder in include:
            if not folder.is_dir():
                raise TaskError(f"{folder}: no such folder of tasks (--include_path)")

    @cached_property
    def _own(self) -> _Index:
        index = _Index()
        for folder in self.folders:
            for file in _yaml_files(folder):
                index.add(file)
        return index

    @cached_property
    def _added(self) -> _Index:
        """Entries of installed packages, but for names that the folders have too."""
        index = _Index()
        for plugin in installed(TASK):
            files = _yaml_files(plugin.folder())
            if not files:
                raise plugin.problem("its folder holds no task YAML")
            try:
                for file in files:
                    index.add(file, plugin.package)
            except TaskError as error:
                raise plugin.problem(str(error)) from error
        return _Index(
            {name: entry for name, entry in index.tasks.items() if name not in self._own.tasks},
            {name: entry for name, entry in index.groups.items() if name not in self._own.groups},
        )

    @property
    def tasks(self) -> list[Entry]:
        return sorted(self._own.tasks.values(), key=lambda entry: entry.name)

    @property
    def groups(self) -> list[Entry]:
        """Every group of the folders that has a YAML of its own, by name."""
        return sorted(self._own.groups.values(), key=lambda entry: entry.name)

    @property
    def added(self) -> list[Entry]:
        return sorted(self._added.tasks.values(), key=lambda entry: entry.name)

    def members(self, group: str) -> list[Entry]:
        """The tasks of the folders that name a group, in the order of the benchmark's table."""
        return self._own.members(group)

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
        found = self._own.matching(wanted) or self._added.matching(wanted)
        if not found:
            known = [name for index in (self._own, self._added) for name in (*index.tasks, *index.groups)]
            close = nearest(wanted, known, count=3)
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

        entry = self._own.groups.get(name) or self._added.groups.get(name)
        return load_group_file(entry.file, self.scorers) if entry else None


@lru_cache(maxsize=1024)
def _values_of(file: Path, changed_ns: int) -> Mapping[str, Any]:
    """What a YAML holds, read once for every library of the process while it stays as it is."""
    del changed_ns
    return read_yaml(file).values


def _table_order(entry: Entry) -> int:
    """Conditions in the order of the table; a task whose file names none, such as a conflict, comes last."""
    return TABLE_ORDER.index(entry.condition) if entry.condition in TABLE_ORDER else len(TABLE_ORDER)


def _yaml_files(folder: Path) -> list[Path]:
    """The YAMLs of a folder and of those in it, but for parents, whose names begin with an underscore."""
    return sorted(file for file in folder.rglob("*.yaml") if not file.name.startswith("_"))
