"""Protocols of recognisers of labels and of trajectories, opened by name, folder or from a plug-in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, get_args

import numpy as np

from avemo_harness.benchmark.release import Release
from avemo_harness.errors import RecognitionError, SampleError, StoreError, UsageError, describe
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Dimension, Trajectory
from avemo_harness.recognizers import JUDGE_REGISTRY, JUDGES
from avemo_harness.recognizers.recordings import SINGLE_MODALITIES, Modality, Recording, SingleModality
from avemo_harness.registry import Plugin, is_json_mapping, parse_arguments, typed_arguments

if TYPE_CHECKING:
    from avemo_harness.metrics.classification import Floats
    from avemo_harness.recognizers.features.builtin import ClipFeatures
    from avemo_harness.recognizers.features.face import FaceFeatures
    from avemo_harness.recognizers.features.sound import SoundFeatures


class Recognizer(Protocol):
    """Predicts the label of a recording: trained before, or fitted by a model (`RecordingRecognizer`)."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it learned, in the order of every array of labels."""
        ...

    def log_probabilities(self, recording: Recording, modality: Modality) -> Floats:
        """Natural logarithms of the probabilities of `labels`, float64 (n_labels,).

        Args:
            modality: what of the recording is shown.

        Raises:
            MediaError: the recording cannot be read, or lacks what is to be shown.
        """
        ...


class FeatureRecognizer(Protocol):
    """Learns from the features of labelled clips, and tells how probable each label is for another clip.

    The same examples and seed give the same recogniser, and what is loaded answers as what was saved.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it learned, in the order of every array of labels."""
        ...

    @classmethod
    def fit(
        cls,
        examples: Sequence[ClipFeatures],
        labels: Sequence[str],
        groups: Sequence[str],
        *,
        faces: Sequence[str] | None = None,
        seed: int,
    ) -> FeatureRecognizer:
        """Learn.

        Args:
            examples: features of the training clips.
            labels: emotion of each clip.
            groups: speaker of each clip, so that a validation can keep speakers apart.
            faces: whose face each clip shows; None where it is the speaker's own.
            seed: of every random draw.

        Raises:
            UsageError: there is too little to learn from.
        """
        ...

    def log_probabilities(self, sound: SoundFeatures | None, face: FaceFeatures | None) -> Floats:
        """Natural logarithms of the probabilities of `labels`, float64 (n_labels,).

        Args:
            sound, face: features of the clip's streams; None for one that it does not have.
        """
        ...

    def save(self, path: Path) -> None:
        """Write a file, whole or not at all (`avemo_harness.files.write_atomically`): several processes may do it."""
        ...

    @classmethod
    def load(cls, path: Path) -> FeatureRecognizer:
        """Read what `save` wrote.

        Raises:
            UsageError: the file is missing or damaged.
        """
        ...


def _are_labels(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(label, str) for label in value) and bool(value)


@dataclass(frozen=True, slots=True)
class PluginRecognizerClass:
    """Stands for the `FeatureRecognizer` class of the package."""

    kind: type[FeatureRecognizer]
    plugin: Plugin

    def fit(self, *examples: Any, **options: Any) -> PluginRecognizer:
        """Learn; UsageError where the package's code fails."""
        with self.plugin.running("its fit()"):
            return self._made(self.kind.fit(*examples, **options))

    def load(self, path: Path) -> PluginRecognizer:
        """Read what `save` wrote; UsageError where the package's code fails."""
        with self.plugin.running("its load()"):
            return self._made(self.kind.load(path))

    def _made(self, recognizer: FeatureRecognizer) -> PluginRecognizer:
        labels = self.plugin.read("its labels", lambda: recognizer.labels, _are_labels, "a tuple of texts")
        return PluginRecognizer(recognizer, tuple(labels), self.plugin)


@dataclass(frozen=True, slots=True)
class PluginRecognizer:
    """A recogniser of the package that has learned."""

    recognizer: FeatureRecognizer
    labels: tuple[str, ...]
    plugin: Plugin

    def log_probabilities(self, sound: SoundFeatures | None, face: FaceFeatures | None) -> Floats:
        """RecognitionError where the package's code fails, or gives something else than a number a label."""
        with self.plugin.running_on_sample("its log_probabilities()", RecognitionError):
            found: Floats = np.asarray(self.recognizer.log_probabilities(sound, face), dtype=np.float64)
            if found.shape != (len(self.labels),) or np.isnan(found).any():
                raise ValueError(f"expected a number for each of {len(self.labels)} labels, found {found.tolist()}")
        return found

    def save(self, path: Path) -> None:
        """Write a file; UsageError where the package's code fails."""
        with self.plugin.running("its save()"):
            self.recognizer.save(path)


@dataclass(frozen=True, slots=True)
class RecordingRecognizer:
    """A `Recognizer` of recordings by way of their features; without any stream it gives what it knows beforehand."""

    recognizer: FeatureRecognizer

    @property
    def labels(self) -> tuple[str, ...]:
        return self.recognizer.labels

    def log_probabilities(self, recording: Recording, modality: Modality) -> Floats:
        from avemo_harness.recognizers.features.builtin import recording_features

        features = recording_features(recording, modality)
        return self.recognizer.log_probabilities(features.sound, features.face)


class TrajectoryJudge(Protocol):
    """Predicts valence and arousal through a recording. The same recording always gives the same trajectory.

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
        """The card of the judge, JSON-ready."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Everything that decides its trajectories."""
        ...

    def trajectory(self, streams: Recording, view: Modality) -> Trajectory:
        """Predict the trajectory of a recording.

        Args:
            view: what it is shown; one of `streams.views`.

        Returns:
            ``max(1, round(rate * duration))`` values.

        Raises:
            MediaError: the recording cannot be read.
            UsageError: the judge itself cannot work, whatever it is shown. Any other exception costs the recording.
        """
        ...


def judge_modalities(judge: TrajectoryJudge) -> frozenset[SingleModality]:
    """The streams that a judge makes use of: its attribute `modalities`; both for one that has no such attribute."""
    found: Collection[SingleModality] = getattr(judge, "modalities", SINGLE_MODALITIES)
    return frozenset(found)


@contextmanager
def naming(recording: str) -> Iterator[None]:
    """The boundary of one recording: whatever goes wrong with it costs its item, and the error names it.

    A judge that cannot work at all says so by a UsageError, which ends the judging, as does a damaged run directory.

    Raises:
        SampleError: anything else was raised.
    """
    try:
        yield
    except (UsageError, StoreError):
        raise
    except (Exception, SystemExit) as error:
        told = describe(error)
        raise SampleError(told if recording in told else f"{recording}: {told}") from error


@dataclass(frozen=True, slots=True)
class JudgeSetup:
    """Options for opening a judge.

    Args:
        demo: gives the train part of the demo release, which is made where it is not there yet.
        cache_dir: where it may keep what it makes.
        say: takes a sentence for the user before something slow.
        device: where a neural judge should run; None lets it choose.
        demo_digest: gives the digest of the plan of that train part, and makes nothing; None where it has another plan.
    """

    demo: Callable[[], Release]
    cache_dir: Path
    say: Callable[[str], None] = lambda sentence: None
    device: str | None = None
    demo_digest: Callable[[], str | None] = lambda: None


def trained_folder(name: str, built_in: Collection[str]) -> Path | None:
    """The folder of a trained recogniser that a user named; None where it is the name of something registered."""
    folder = Path(name).expanduser()
    is_path = folder.is_dir() or folder.parent != Path() or name.startswith("./")
    return folder if name not in built_in and is_path else None


def judge_folder(spec: str) -> Path | None:
    """The folder of a trained recogniser that a spec of a judge names; None where it is a name with or without
    arguments, of which one may be a path."""
    name, _, given = spec.partition(":")
    folder = None if name in JUDGES else trained_folder(spec, JUDGES)
    is_named = bool(given) and Path(name).parent == Path()
    return folder if folder is not None and (folder.is_dir() or not is_named) else None


def check_judge(spec: str) -> None:
    """Refuse what `open_judge` would not open, as far as that shows before weights are looked for.

    Raises:
        UsageError: there is no such judge, it does not take such arguments, or the folder holds no recogniser of
            valence and arousal.
    """
    folder = judge_folder(spec)
    if folder is not None:
        from avemo_harness.recognizers.checkpoint import checkpoint_errors, read_config
        from avemo_harness.recognizers.heads.trajectory import TRAJECTORY_FORMAT

        with checkpoint_errors(folder):
            read_config(folder, [TRAJECTORY_FORMAT])
        return
    name, _, given = spec.partition(":")
    _arguments_of(name, JUDGE_REGISTRY.load(name), given)


def open_judge(spec: str, setup: JudgeSetup) -> TrajectoryJudge:
    """Open a judge.

    Args:
        spec: ``name`` or ``name:key=value,key=value`` of one that is built in (``embedded``, ``wav2vec2-dim``, …) or
            that an installed package adds, or the folder of a trained recogniser.

    Raises:
        UsageError: there is no such judge, it does not take such arguments, its folder is damaged, its weights cannot
            be found, or its package is broken.
    """
    folder = judge_folder(spec)
    if folder is not None:
        from avemo_harness.recognizers.checkpoint import load_trajectory_recognizer

        return load_trajectory_recognizer(folder, setup.cache_dir, setup.device)
    name, _, given = spec.partition(":")
    opener, plugin = JUDGE_REGISTRY.load(name), JUDGE_REGISTRY.plugin(name)
    if plugin is None:
        return _opened(name, opener, given, setup)
    with plugin.running("opening it"):
        judge = _opened(name, opener, given, setup)
    return PluginJudge(judge, plugin)


def _opened(name: str, opener: Any, given: str, setup: JudgeSetup) -> TrajectoryJudge:
    arguments = _arguments_of(name, opener, given)
    return cast("TrajectoryJudge", opener(setup) if arguments is None else opener(arguments, setup))


def _arguments_of(name: str, opener: Any, given: str) -> object | None:
    """The typed arguments of a class with `Arguments`; None for a function of the setup, which takes none."""
    if (arguments_of := getattr(opener, "Arguments", None)) is not None:
        return typed_arguments(f"judge {name}", arguments_of, parse_arguments(given))
    if given:
        raise UsageError(f"judge {name} takes no arguments, found {given!r}; leave them out")
    return None


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
            "its modalities",
            lambda: judge_modalities(judge),
            _are_modalities,
            f"some of {', '.join(SINGLE_MODALITIES)}",
        )

    def identity(self) -> Mapping[str, str]:
        return self._identity

    def trajectory(self, streams: Recording, view: Modality) -> Trajectory:
        """RecognitionError where the package's code fails on the recording."""
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
    return bool(value) and value <= set(SINGLE_MODALITIES)
