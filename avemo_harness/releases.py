"""The releases that a run asks about, each loaded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from avemo_harness import paths
from avemo_harness.benchmark.clip_streams import with_known_streams
from avemo_harness.benchmark.release import DEMO, Release
from avemo_harness.benchmark.release_loader import ReleaseOptions, configured_release, has_split, load_release
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.benchmark.task_library import SHIPPED
from avemo_harness.benchmark.yaml_file import read_yaml
from avemo_harness.run.config import RunConfig

Source = tuple[str, str | None]
"""Hub id, path or ``builtin:demo``, with the revision that belongs to it."""


@dataclass
class RunReleases:
    """Finds and loads what a run's tasks ask about.

    Args:
        say: takes a sentence for the user before something slow.
    """

    config: RunConfig
    say: Callable[[str], None]
    _loaded: dict[tuple[str, str, str, str | None], Release] = field(default_factory=dict)

    def source(self, task: TaskSpec) -> Source:
        """Where a task's release comes from.

        Raises:
            ReleaseError: none is named anywhere.
        """
        config = self.config
        if config.dataset is None and task.dataset.path is not None:
            return task.dataset.path, config.revision or task.dataset.revision
        shipped = read_yaml(SHIPPED / "_release.yaml").values
        source = configured_release(config.dataset, task.group or task.task, shipped["path"])
        return source, config.revision or (shipped["revision"] if source == shipped["path"] else None)

    def load(self, task: TaskSpec) -> Release:
        """The release of a task.

        Raises:
            ReleaseError: it is missing, unreachable or malformed.
        """
        path, revision = self.source(task)
        key = (path, task.dataset.name, task.dataset.split, revision)
        if key not in self._loaded:
            self._loaded[key] = self._read(*key)
        return self._loaded[key]

    def training(self, which: str, asked: Sequence[Release]) -> tuple[Release, ...]:
        """Labelled releases to learn from; see `avemo_harness.models.base.ModelSetup.training`."""
        if which == "demo":
            return (self.demo_training(),)
        if which != "auto":
            return tuple(self._read(which, name, "train", None) for name in dict.fromkeys(r.name for r in asked))
        own = [release for release in asked if has_split(release, self._path(release.source), "train")]
        if own:
            return tuple(self._read(release.source, release.name, "train", release.commit) for release in own)
        self.say("the release has no train part: training on the built-in demo's")
        return self.training("demo", asked)

    def demo_training(self) -> Release:
        """The train part of the demo, which is made where it is not there yet."""
        return self._read(DEMO, "demo", "train", None)

    def _path(self, source: str) -> str:
        if source != DEMO:
            return source
        from avemo_harness.build.demo import demo_release

        return str(demo_release(paths.cache_dir(), self.say))

    def _read(self, source: str, name: str, split: str, revision: str | None) -> Release:
        options = ReleaseOptions(
            revision=revision,
            media_root=Path(self.config.media_root) if self.config.media_root else None,
            streaming=self.config.streaming,
        )
        release = replace(load_release(self._path(source), name, split, options), source=source)
        if self.config.streaming and release.commit is not None:
            return release  # probing would download every clip; what the columns do not say stays unknown
        return with_known_streams(release, paths.cache_dir() / "streams", self.say)
