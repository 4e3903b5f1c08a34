"""Judges: the recognisers that turn recordings into trajectories of valence and arousal, by name or folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from avemo_harness.benchmark.release import Release
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Dimension, Trajectory
from avemo_harness.recognizers import JUDGE_REGISTRY, JUDGES
from avemo_harness.recognizers.streams import Streams, View


class TrajectoryJudge(Protocol):
    """Follows valence and arousal through a recording. The same recording always gives the same trajectory."""

    @property
    def calibration(self) -> Calibration | None:
        """Thresholds from its training labels, for the profile `calibrated`; None where it has none."""
        ...

    @property
    def errors(self) -> Mapping[Dimension, float]:
        """Root mean squared error for sound and face together, by dimension, on the unit scale; empty if unknown."""
        ...

    @property
    def card_values(self) -> Mapping[str, Any]:
        """What it was trained on and how far it can be trusted, JSON-ready."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Everything that decides its trajectories."""
        ...

    def trajectory(self, streams: Streams, view: View) -> Trajectory:
        """Follow a recording.

        Args:
            view: what it is shown; one of `streams.views`.

        Returns:
            ``max(1, round(rate * duration))`` values.

        Raises:
            MediaError: the recording cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class JudgeSetup:
    """What a judge is opened with.

    Args:
        demo: gives the train part of the demo release, which is made where it is not there yet.
        cache_dir: where it may keep what it makes.
        say: takes a sentence for the user before something slow.
        device: where a neural judge should run; None lets it choose.
    """

    demo: Callable[[], Release]
    cache_dir: Path
    say: Callable[[str], None] = lambda sentence: None
    device: str | None = None


def open_judge(name: str, setup: JudgeSetup) -> TrajectoryJudge:
    """Open a judge: ``embedded``, the folder of a trained recogniser, or what an installed package adds.

    Raises:
        UsageError: there is no such judge, or its folder is damaged.
    """
    folder = Path(name).expanduser()
    if name not in JUDGES and (folder.is_dir() or folder.parent != Path()):
        from avemo_harness.recognizers.continuous.checkpoint import load_checkpoint

        return load_checkpoint(folder, setup.cache_dir, setup.device)
    return cast("TrajectoryJudge", JUDGE_REGISTRY.load(name)(setup))
