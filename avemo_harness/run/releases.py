"""The releases that a run asks about: where the data of a task are, and what is read of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from avemo_harness import files
from avemo_harness.benchmark.columns import DatasetSpec
from avemo_harness.benchmark.corpora import find_corpus
from avemo_harness.benchmark.release import DEMO, Release
from avemo_harness.benchmark.release_loader import (
    ReleaseOptions,
    configured_release,
    has_split,
    load_release,
    with_known_streams,
)
from avemo_harness.benchmark.table_loader import load_table
from avemo_harness.benchmark.table_sources import find_training_part, is_local_table
from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.benchmark.task_library import SHIPPED, TaskLibrary
from avemo_harness.benchmark.yaml_file import read_yaml
from avemo_harness.data.sharing.records import read_records
from avemo_harness.errors import MissingDataError, ReleaseError
from avemo_harness.run.config import RunConfig
from avemo_harness.scorers import METRICS
from avemo_harness.text import Notify

SourceRevision = tuple[str, str | None]
"""Hub id, path or ``builtin:demo``, with the revision that belongs to it."""


@dataclass
class RunReleases:
    """Finds and loads what a run's tasks ask about.

    Args:
        say: takes a sentence for the user before something slow.
    """

    config: RunConfig
    say: Notify
    _loaded: dict[DatasetSpec, Release] = field(default_factory=dict)
    _with_pairs: dict[str, Release] = field(default_factory=dict)
    _parts: dict[tuple[str, ...], tuple[DatasetSpec, ...]] = field(default_factory=dict)
    """Parts to learn from, by what a user said of them and the releases that are asked about."""

    def source(self, task: TaskSpec) -> SourceRevision:
        """Where a task's release comes from.

        Raises:
            MissingDataError: none is named anywhere, or the task's corpus, or what the task reads of it, is not here.
            ReleaseError: what is named does not exist.
        """
        config = self.config
        if task.dataset.corpus is not None:
            return self._inside_corpus(task, self.corpus(task)), None
        if config.release is None and task.dataset.path is not None:
            return task.dataset.path, config.revision or task.dataset.revision
        if config.release is None and task.dataset.columns is not None:
            raise ReleaseError(
                f"{task.task}: its dataset has columns and no path; write the path of its table there, or give it as "
                "--dataset"
            )
        shipped = read_yaml(SHIPPED / "_release.yaml").values
        source = configured_release(config.release, task.group or task.task, shipped["path"])
        return source, config.revision or (shipped["revision"] if source == shipped["path"] else None)

    def corpus(self, task: TaskSpec) -> str:
        """The folder of a task's corpus; raises as `source` does."""
        assert task.dataset.corpus is not None
        return find_corpus(task.dataset.corpus, self.config.corpora, lambda: self.obtain(task))

    def obtain(self, task: TaskSpec) -> str | None:
        """The command by which a task's data come; None where its group does not say."""
        group = self._library.load_group(task.group) if task.group else None
        return group.benchmark.obtain if group and group.benchmark else None

    @cached_property
    def _library(self) -> TaskLibrary:
        return TaskLibrary(METRICS, [Path(folder) for folder in self.config.include_path])

    def _inside_corpus(self, task: TaskSpec, folder: str) -> str:
        """The part of a corpus that a task reads: its folder, or a table or folder in it."""
        dataset = task.dataset
        inside = None if dataset.path is None else os.path.join(folder, dataset.path)
        for needed, found in (
            (dataset.path, inside is None or is_local_table(inside)),
            (
                dataset.recordings,
                dataset.recordings is None or os.path.exists(os.path.join(folder, dataset.recordings)),
            ),
        ):
            if not found:
                command = self.obtain(task)
                raise MissingDataError(
                    f"{folder}: holds no {needed}; give the corpus' own folder: {dataset.corpus}=DIR"
                    f"{f', or get it: {command}' if command else ''}",
                    command,
                )
        return inside or folder

    def located(self, task: TaskSpec) -> tuple[DatasetSpec, ReleaseOptions]:
        """The data of a task where they are, and how they are read; raises as `source` does."""
        path, revision = self.source(task)
        corpus = Path(self.corpus(task)) if task.dataset.corpus is not None else None
        root = Path(self.config.media_root) if self.config.media_root else None
        if root is None and corpus is not None and task.dataset.columns is None:
            root = _imported_from(corpus)
        options = ReleaseOptions(
            revision=revision,
            media_root=root,
            streaming=self.config.streaming,
            corpus=corpus if task.dataset.columns is not None else None,
        )
        return task.dataset.model_copy(update={"path": path, "revision": revision, "corpus": None}), options

    def load(self, task: TaskSpec) -> Release:
        """The release of a task.

        Raises:
            ReleaseError: it is missing, unreachable or malformed, or was imported without labels that the task asks
                for.
        """
        dataset, options = self.located(task)
        if task.dataset.corpus is not None and dataset.columns is None:
            self._refuse_other_labels(task, Path(dataset.path or ""))
        release = self._read(dataset, options)
        if task.condition.name != "conflict" or not task.opposites:
            return release
        return self._paired(task, release)

    def _refuse_other_labels(self, task: TaskSpec, folder: Path) -> None:
        """Refuse a corpus that was imported without some of the labels that a task asks for."""
        imported = read_records(folder).imported if folder.is_dir() else {}
        if not isinstance(task.output, LabelOutput) or not isinstance(imported.get("label_map"), dict):
            return
        if str(imported.get("options", {}).get("labels", "")).startswith("all"):
            # A part of a corpus may have no clip of a label; the results name labels that no item has.
            return
        held = list(dict.fromkeys(imported["label_map"].values()))
        if set(task.output.labels) <= {task.label_map.get(label, label) for label in held}:
            return
        command = (
            self.obtain(task) or f"avemo-eval data import {imported.get('importer', 'IMPORTER')} SOURCE --labels all"
        )
        raise ReleaseError(
            f"{folder}: was imported with the labels {', '.join(held)}, and {task.task} asks for "
            f"{', '.join(task.output.labels)}; import it anew, to another folder with --out DIR or after this one is "
            f"moved away: {command}"
        )

    def _paired(self, task: TaskSpec, release: Release) -> Release:
        from avemo_harness.data.conflict_pairs import with_pairs_of_task

        paired = with_pairs_of_task(task, release, files.cache_dir() / "durations" / f"{release.fingerprint}.json")
        # Tasks that pair alike ask of one release.
        return self._with_pairs.setdefault(paired.fingerprint, paired)

    def training(self, which: str, asked: Sequence[Release]) -> tuple[Release, ...]:
        """Labelled releases to learn from; see `avemo_harness.models.base.ModelSetup.training`."""
        return tuple(map(self._read, self._training_parts(which, asked)))

    def demo_digest(self, which: str, asked: Sequence[Release]) -> str | None:
        """See `avemo_harness.models.base.ModelSetup.demo_digest`; nothing is made."""
        if [part.path for part in self._training_parts(which, asked)] != [DEMO]:
            return None
        from avemo_harness.data.synthesis.demo import training_digest

        return training_digest()

    def _training_parts(self, which: str, asked: Sequence[Release]) -> tuple[DatasetSpec, ...]:
        key = (which, *(release.fingerprint for release in asked))
        if key not in self._parts:
            self._parts[key] = tuple(self._find_training(which, asked))
        return self._parts[key]

    def _find_training(self, which: str, asked: Sequence[Release]) -> Iterator[DatasetSpec]:
        if which not in ("auto", "demo"):
            for name in dict.fromkeys(release.name for release in asked):
                yield _training_part(which, name)
            return
        own = [part for release in asked if (part := self._own_training(release)) is not None]
        if which == "auto" and own:
            yield from own
            return
        if which == "auto":
            self.say("the release has no train part: the built-in demo's is learned from")
        yield _training_part(DEMO, "demo")

    def _own_training(self, release: Release) -> DatasetSpec | None:
        """The train part of a release or of a table; None where it has none."""
        named = (release.source, release.name, release.split)
        tables = [
            dataset
            for dataset, read in self._loaded.items()
            if dataset.columns is not None and (read.source, read.name, read.split) == named
        ]
        if tables:
            return find_training_part(tables[0], release.commit)
        if release.source == DEMO:
            return _training_part(DEMO, release.name)
        if has_split(release, release.source, "train"):
            return _training_part(release.source, release.name, release.commit)
        return None

    def demo_training(self) -> Release:
        """The train part of the demo, which is made where it is not there yet."""
        return self._read(_training_part(DEMO, "demo"))

    def _path(self, source: str, split: str) -> str:
        if source != DEMO:
            return source
        from avemo_harness.data.synthesis.demo import PARTS, demo_release

        # A split that it does not have is told by whoever reads it.
        return str(demo_release(files.cache_dir(), self.say, [part for part in PARTS if part == split] or PARTS))

    def _read(self, dataset: DatasetSpec, options: ReleaseOptions | None = None) -> Release:
        source = dataset.path or ""
        if dataset in self._loaded:
            return self._loaded[dataset]
        options = options or ReleaseOptions(
            revision=dataset.revision,
            media_root=Path(self.config.media_root) if self.config.media_root else None,
            streaming=self.config.streaming,
        )
        if dataset.columns is not None:
            release = load_table(dataset, options, self.say)
        else:
            release = replace(
                load_release(self._path(source, dataset.split), dataset.name, dataset.split, options), source=source
            )
        # Probing what is streamed would read every clip; what its columns do not say stays unknown.
        if not self.config.streaming or (release.commit is None and dataset.columns is None):
            release = with_known_streams(release, files.cache_dir() / "streams", self.say)
        self._loaded[dataset] = release
        return release


def _imported_from(folder: Path) -> Path | None:
    """The folder of the clips that an imported corpus names by their paths in it, where it is still there."""
    imported = read_records(folder).imported if folder.is_dir() else {}
    source = Path(str(imported.get("source", ""))).expanduser()
    return source if imported.get("clips") == "named" and source.is_dir() else None


def _training_part(source: str, name: str, revision: str | None = None) -> DatasetSpec:
    return DatasetSpec(path=source, name=name, split="train", revision=revision)
