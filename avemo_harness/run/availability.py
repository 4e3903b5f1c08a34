"""Tasks of a collection whose data are here, and those whose data are not, with the command by which each comes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from avemo_harness.benchmark.columns import is_hub_id
from avemo_harness.benchmark.release import DEMO
from avemo_harness.benchmark.release_sources import resolve_commit
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.benchmark.task_file import Task
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.errors import MissingDataError, ReleaseError, UsageError, first_line
from avemo_harness.registry import hint
from avemo_harness.run.config import RunConfig
from avemo_harness.run.releases import RunReleases
from avemo_harness.scorers import require_files


def with_named_corpora(config: RunConfig, tasks: Sequence[TaskSpec]) -> RunConfig:
    """The config whose one plain ``--dataset`` is the folder of the one corpus that the tasks are asked of.

    Raises:
        UsageError: it might be any of several corpora, or a corpus is given that no task is asked of.
    """
    asked = list(dict.fromkeys(task.dataset.corpus for task in tasks if task.dataset.corpus is not None))
    for name in config.corpora:
        if name not in asked:
            known = f"the tasks are asked of {', '.join(asked)}" if asked else "the tasks name no corpus"
            raise UsageError(f"--dataset {name}=…: {known}{hint(name, asked)}")
    if config.release is None or not asked or any(task.dataset.corpus is None for task in tasks):
        return config
    open_ones = [name for name in asked if name not in config.corpora]
    if len(open_ones) != 1:
        names = " or ".join(f"--dataset {name}={config.release}" for name in open_ones or asked)
        raise UsageError(f"--dataset {config.release}: the tasks are asked of {len(asked)} corpora; say which: {names}")
    return replace(config, dataset={**config.corpora, open_ones[0]: config.release})


@dataclass(frozen=True)
class Availability:
    """Tasks of a run that can be asked, and those that cannot.

    Args:
        named: tasks whose data must be here: those that were asked for by name, and of globs those of no corpus and no
            data set of the Hub. The others are asked where their data are.
    """

    tasks: Sequence[Task]
    named: frozenset[str]
    releases: RunReleases

    @classmethod
    def of(cls, tasks: Sequence[Task], library: TaskLibrary, releases: RunReleases) -> Availability:
        names = {name: library.files_of(name) for name in releases.config.tasks}
        by_name = {file for name, files in names.items() if not library.gathers(name) for file in files}
        collected = {file for name, files in names.items() if library.collection(name) for file in files}

        def is_named(task: Task) -> bool:
            file, _ = task.document.origin(("task",))
            dataset = task.spec.dataset
            comes_later = dataset.corpus is not None or (dataset.path is not None and is_hub_id(dataset.path))
            return file in by_name or not (file in collected or comes_later)

        return cls(tasks, frozenset(task.name for task in tasks if is_named(task)), releases)

    @property
    def grows(self) -> bool:
        """True where tasks that cannot be asked today may join the run later."""
        return len(self.named) < len(self.tasks)

    @property
    def present(self) -> list[Task]:
        return [task for task in self.tasks if task.name not in self._reasons]

    @cached_property
    def absent(self) -> Mapping[str, str]:
        """By group, or task of none, how the data come that are not here.

        Raises:
            MissingDataError: those of a task that was asked for by name are not, or nobody's are.
        """
        needed = [self._reasons[name] for name in self.named if name in self._reasons]
        if needed or len(self._reasons) == len(self.tasks):
            reasons = dict.fromkeys(map(str, needed or self._reasons.values()))
            first = "" if needed else f"none of the data of {', '.join(self.releases.config.tasks)} are here:\n"
            raise MissingDataError(first + "\n".join(reasons))
        absent: dict[str, str] = {}
        for task in self.tasks:
            if (error := self._reasons.get(task.name)) is not None:
                absent.setdefault(task.spec.group or task.name, error.command or first_line(error))
        return absent

    @cached_property
    def _reasons(self) -> Mapping[str, MissingDataError]:
        """Why the data of tasks are not here, by task. Nothing is decoded or read for it."""
        found: dict[tuple[object, ...], MissingDataError | None] = {}
        reasons = {}
        for task in self.tasks:
            dataset = task.spec.dataset
            key = (dataset.corpus, dataset.path, dataset.recordings or dataset.revision)
            if key not in found:
                found[key] = self._reason(task.spec, needed=task.name in self.named)
            if (error := found[key] or _lacking(task.spec)) is not None:
                reasons[task.name] = error
        return reasons

    def _reason(self, task: TaskSpec, *, needed: bool) -> MissingDataError | None:
        try:
            source, revision = self.releases.source(task)
        except MissingDataError as error:
            return error
        # What was asked for by name is read in any case, and tells itself what is wrong.
        if needed or source == DEMO or os.path.exists(os.path.expanduser(source)):
            return None
        command = self.releases.obtain(task)
        if not is_hub_id(source):
            return MissingDataError(f"{source}: no such file or folder", command)
        try:
            commit = resolve_commit(source, revision)
        except ReleaseError as error:
            return MissingDataError(str(error), command)
        if offline() and not _is_kept(source, commit):
            return MissingDataError(f"{source}: is not in the local cache, and the Hub is not asked", command)
        return None


def _lacking(task: TaskSpec) -> MissingDataError | None:
    """Why the answers to a task could not be scored: files of others that a scorer needs are not here."""
    try:
        for scorer in task.scorers:
            require_files(scorer)
    except MissingDataError as error:
        return error
    return None


def offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _is_kept(repo: str, commit: str) -> bool:
    """Tell whether the local cache of the Hub has files of a commit."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"datasets--{repo.replace('/', '--')}" / "snapshots" / commit
    return folder.is_dir() and any(folder.iterdir())


def absence_lines(absent: Mapping[str, str]) -> list[str]:
    """A line a group: the command by which its data come, or why they are not here."""
    return [f"  {name}: {command}" for name, command in absent.items()]
