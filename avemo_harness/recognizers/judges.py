"""Judges: the recognisers that turn recordings into trajectories of valence and arousal, by name or folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast, get_args

from avemo_harness.benchmark.release import Release
from avemo_harness.errors import RecognitionError
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Dimension, Trajectory
from avemo_harness.plugins import Plugin, is_json_mapping
from avemo_harness.recognizers import JUDGE_REGISTRY, JUDGES
from avemo_harness.recognizers.streams import MODALITIES, Modality, Streams, View


class TrajectoryJudge(Protocol):
    """Follows valence and arousal through a recording. The same recording always gives the same trajectory.

    One that makes use of one stream alone says so by an attribute `modalities` (`judge_modalities`).
    """

    @property
    def calibration(self) -> Calibration | None:
        """Its thresholds, for the profile `calibrated`; None where it has none, with the reason on the card under
        ``no_calibration``."""
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
            UsageError: the judge itself cannot work, whatever it is shown. Any other exception costs the recording.
        """
        ...


def judge_modalities(judge: TrajectoryJudge) -> frozenset[Modality]:
    """The streams that a judge makes use of: its attribute `modalities`; both for one that has no such attribute."""
    found: Collection[Modality] = getattr(judge, "modalities", MODALITIES)
    return frozenset(found)


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
        UsageError: there is no such judge, its folder is damaged, or its package is broken.
    """
    folder = Path(name).expanduser()
    if name not in JUDGES and (folder.is_dir() or folder.parent != Path()):
        from avemo_harness.recognizers.continuous.checkpoint import load_checkpoint

        return load_checkpoint(folder, setup.cache_dir, setup.device)
    opener, plugin = JUDGE_REGISTRY.load(name), JUDGE_REGISTRY.plugin(name)
    if plugin is None:
        return cast("TrajectoryJudge", opener(setup))
    with plugin.running("opening it"):
        judge = opener(setup)
    return PluginJudge(judge, plugin)


class PluginJudge:
    """Follows recordings as the judge of an installed package does; what that says of itself is read once.

    Raises:
        UsageError: it cannot say what a run keeps of its judge.
    """

    def __init__(self, judge: TrajectoryJudge, plugin: Plugin) -> None:
        self._judge, self._plugin = judge, plugin
        self._identity = plugin.read(
            "its identity()", lambda: judge.identity(), is_json_mapping, "a mapping of names to texts"
        )
        self.calibration: Calibration | None = plugin.read(
            "its calibration", lambda: judge.calibration, _is_calibration, "a Calibration or None"
        )
        self.errors: Mapping[Dimension, float] = plugin.read(
            "its errors", lambda: judge.errors, _are_errors, "a mapping of dimensions to numbers"
        )
        self.card_values: Mapping[str, Any] = plugin.read(
            "its card_values", lambda: judge.card_values, is_json_mapping, "a mapping that JSON can hold"
        )
        self.modalities = plugin.read(
            "its modalities", lambda: judge_modalities(judge), _are_modalities, f"some of {', '.join(MODALITIES)}"
        )

    def identity(self) -> Mapping[str, str]:
        """Everything that decides its trajectories."""
        return self._identity

    def trajectory(self, streams: Streams, view: View) -> Trajectory:
        """Follow a recording.

        Raises:
            RecognitionError: the package's code fails on it.
            MediaError: the recording cannot be read.
        """
        with self._plugin.running_on_sample("its trajectory()", RecognitionError):
            return self._judge.trajectory(streams, view)


def _is_calibration(value: Any) -> bool:
    if isinstance(value, Calibration):
        # One that no profile can be made of is said to be none where it is used.
        value.problem()
        return is_json_mapping(asdict(value))
    return value is None


def _are_errors(value: Any) -> bool:
    return (
        is_json_mapping(value)
        and set(value) <= set(get_args(Dimension))
        and all(isinstance(error, int | float) for error in value.values())
    )


def _are_modalities(value: frozenset[Any]) -> bool:
    return bool(value) and value <= set(MODALITIES)
