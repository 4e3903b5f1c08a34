"""Find tasks and groups by name, glob or file: shipped, in added folders and in installed packages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.benchmark.task_index import read_summary
from avemo_harness.errors import TaskError
from avemo_harness.registry import Kind, hint, installed, nearest

if TYPE_CHECKING:
    from avemo_harness.benchmark.group import GroupSpec
    from avemo_harness.benchmark.task import ScorerMetrics
    from avemo_harness.benchmark.task_file import Task

_YAML = (".yaml", ".yml")
TABLE_ORDER = ("full_av", "audio_only", "video_only", "conflict")
SHIPPED = Path(__file__).parent.parent / "tasks"
TASK = Kind("task", TaskError)
"""An installed package names a package of its own whose folder holds task YAMLs."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Entry of the list of tasks: what a YAML itself says of a task, or of a group with its title.

    Args:
        package: the installed package that it comes from; None for the shipped folder and for added ones.
        groups: of a collection, the groups that it has.
    """

    name: str
    file: Path
    group: str | None = None
    title: str | None = None
    condition: str | None = None
    package: str | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Index:
    """Tasks and groups by their names."""

    tasks: dict[str, Entry] = field(default_factory=dict)
    groups: dict[str, Entry] = field(default_factory=dict)

    def add(self, file: Path, package: str | None = None) -> None:
        """Take in what a YAML defines (TaskError: nothing, or a name that is taken)."""
        values = read_summary(file)
        is_group = "columns" in values or ("group" in values and "task" not in values)
        name = values.get("group" if is_group else "task")
        if not isinstance(name, str):
            raise TaskError(f"{file}:1: neither 'task' nor 'group' names what this file defines")
        entries = self.groups if is_group else self.tasks
        if other := entries.get(name):
            of_package = f" of the installed package {other.package}" if other.package else ""
            raise TaskError(f"{file}:1: {name!r} is already defined in {other.file}{of_package}")
        facts = {key: values[key] for key in ("group", "title", "condition") if key in values}
        members = tuple(values.get("groups", ())) if is_group else ()
        entries[name] = Entry(name, file, **facts, package=package, groups=members)

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

    Building one reads no file; listing looks into each YAML once and checks nothing; loading checks. Installed packages
    are looked at only for what no folder has, so that installing one never changes what a name stands for.
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

    def collection(self, name: str) -> Entry | None:
        """The collection of that name; a task of the name goes before it."""
        entry = self._own.groups.get(name)
        if entry is None and not name.endswith(_YAML) and not self._own.matching(name):
            entry = None if name in self._added.tasks else self._added.groups.get(name)
        return entry if entry is not None and entry.groups and name not in self._own.tasks else None

    def collected(self, collection: Entry, within: tuple[str, ...] = ()) -> list[Entry]:
        """The tasks of a collection's groups, and of collections in it, each once.

        Args:
            within: names of the collections that this one is looked at for.

        Raises:
            TaskError: one of the groups has no task, or a collection is in itself.
        """
        within = (*within, collection.name)
        found: dict[str, Entry] = {}
        for name in collection.groups:
            inner = self.collection(name)
            if name in within:
                raise TaskError(f"{collection.file}: groups: {name!r} leads back to itself")
            members = self.collected(inner, within) if inner else self._own.members(name) or self._added.members(name)
            if not members:
                indices = (self._own, self._added)
                groups = {task.group for index in indices for task in index.tasks.values() if task.group}
                known = sorted({*groups, *(name for index in indices for name in index.groups)})
                raise TaskError(f"{collection.file}: groups: no task is of the group {name!r}{hint(name, known)}")
            found.update({task.name: task for task in members})
        return list(found.values())

    def tasks_of_corpus(self, corpus: str) -> list[Entry]:
        """The tasks of the folders that are asked of a corpus, by name."""
        from avemo_harness.benchmark.task_file import resolve_parents

        datasets = {entry.name: resolve_parents(entry.file).values.get("dataset") for entry in self.tasks}
        return [
            entry
            for entry in self.tasks
            if isinstance(dataset := datasets[entry.name], dict) and dataset.get("corpus") == corpus
        ]

    def gathers(self, wanted: str) -> bool:
        """True for a collection or a glob, whose tasks are asked where their data are here."""
        if self.collection(wanted) is not None:
            return True
        # No name of a task or group has such a character.
        return any(character in wanted for character in "*?[") and not wanted.endswith(_YAML)

    def files_of(self, wanted: str) -> list[Path]:
        """The task YAMLs that a name, glob, group or path stands for.

        Raises:
            TaskError: nothing has that name; the message gives the nearest names.
        """
        if wanted.endswith(_YAML):
            # Unlike their like in `pathlib`, these take any text for a path.
            path = os.path.expanduser(wanted)
            if not os.path.isfile(path):
                raise TaskError(f"{wanted}: no such task file")
            return [Path(path)]
        collection = self.collection(wanted)
        found = self.collected(collection) if collection else self._own.matching(wanted) or self._added.matching(wanted)
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

    def group_problems(self, entry: Entry) -> list[str]:
        """Claims of a group's YAML that its tasks, or the groups of a collection, do not bear out."""
        if entry.groups:
            try:
                self.collected(entry)
            except TaskError as error:
                return [str(error)]
            return []
        group = self.load_group(entry.name)
        if group is None or not group.published:
            return []
        metrics = {
            task.name: [metric for scorer in task.spec.scorers for metric in scorer.metrics]
            for task in self.load([entry.name])
        }
        problems = []
        for number, figure in enumerate(group.published):
            where = f"{entry.file}: published[{number}]"
            if figure.task not in metrics:
                names = hint(figure.task, metrics)
                problems.append(f"{where}.task: {figure.task!r} is no task of the group{names}")
            elif figure.metric not in metrics[figure.task]:
                known = hint(figure.metric, metrics[figure.task])
                problems.append(f"{where}.metric: {figure.task} does not report {figure.metric!r}{known}")
        return problems

    def load_group(self, name: str) -> GroupSpec | None:
        """The layout of a group's row; None for a group without a YAML of its own."""
        from avemo_harness.benchmark.task_file import load_group_file

        entry = self._own.groups.get(name) or self._added.groups.get(name)
        return load_group_file(entry.file, self.scorers) if entry else None


def _table_order(entry: Entry) -> int:
    """Conditions in the order of the table; a task whose file names none, such as a conflict, comes last."""
    return TABLE_ORDER.index(entry.condition) if entry.condition in TABLE_ORDER else len(TABLE_ORDER)


def _yaml_files(folder: Path) -> list[Path]:
    """The YAMLs of a folder and of those in it, but for parents, whose names begin with an underscore."""
    return sorted(file for file in folder.rglob("*.yaml") if not file.name.startswith("_"))
