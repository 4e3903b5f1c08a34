"""Late fusion of sound and face: a logistic head a stream, then a weighted sum of their evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from avemo_harness.errors import UsageError
from avemo_harness.files import write_atomically
from avemo_harness.metrics.classification import Floats
from avemo_harness.recognizers.features.builtin import ClipFeatures
from avemo_harness.recognizers.features.face import FaceFeatures
from avemo_harness.recognizers.features.sound import SoundFeatures
from avemo_harness.recognizers.heads.logistic import (
    Indices,
    LogisticHead,
    fit_logistic_head,
    group_folds,
    held_out_log_probabilities,
    label_of_one_fold,
    log_softmax,
)

FORMAT = "avemo-fusion-recognizer-1"
"""Names the layout of the file and the definition of the features: raise the number when either changes."""

_STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1)
_WEIGHTS = tuple(tenths / 10 for tenths in range(1, 31))


@dataclass(frozen=True, slots=True, eq=False)
class StreamRecognizer:
    """The classifier of one stream, and the weights of its evidence.

    Attributes:
        head: the classifier.
        weight_alone: factor on its evidence where it is the only stream.
        weight_together: factor on its evidence where both streams are informative.
    """

    head: LogisticHead
    weight_alone: float
    weight_together: float


@dataclass(frozen=True, slots=True, eq=False)
class FusionRecognizer:
    """Logistic regression on features of sound and face, fused late, by which the model `baseline` names emotions.

    The evidence of a stream is by how much its log probabilities exceed the prior's; the weighted evidence of the
    informative streams is added to the log prior. Sound without speech and a still face are not informative.

    Attributes:
        labels: the emotions, sorted: the order of every array of labels.
        log_prior: float64 (n_labels,), natural logarithms of the labels' shares of the training clips.
        sound: recogniser of the sound; None if too few training clips had speech.
        face: recogniser of the face; None if too few training clips had a live face.
    """

    labels: tuple[str, ...]
    log_prior: Floats
    sound: StreamRecognizer | None
    face: StreamRecognizer | None

    @classmethod
    def fit(
        cls,
        examples: Sequence[ClipFeatures],
        labels: Sequence[str],
        groups: Sequence[str],
        *,
        faces: Sequence[str] | None = None,
        seed: int,
    ) -> FusionRecognizer:
        """Fit both classifiers; choose penalties and weights by cross-validation that never splits a group.

        A stream that cannot be cross-validated, since it shows a label by one group or by none, is not trusted and
        left out. Arguments are those of `FeatureRecognizer.fit`; the seed decides which groups share a fold.

        Raises:
            UsageError: the lengths differ, or there are too few labels or speakers to cross-validate.
        """
        if not len(examples) == len(labels) == len(groups):
            raise UsageError(
                f"expected a label and a group for each of {len(examples)} examples, "
                f"found {len(labels)} labels and {len(groups)} groups"
            )
        names = tuple(sorted(set(labels)))
        if len(names) < 2:
            raise UsageError(f"expected training clips of at least two labels, found {list(names)}; add clips")
        truth = np.array([names.index(label) for label in labels], dtype=np.intp)
        sound_folds = group_folds(groups, seed=seed)
        face_folds = group_folds(groups if faces is None else faces, seed=seed)
        sound = _fit_stream([_spoken(clip.sound) for clip in examples], sound_folds, truth, names)
        face = _fit_stream([_live(clip.face) for clip in examples], face_folds, truth, names)
        if sound is None and face is None:
            raise UsageError(
                "expected training clips with speech, or with a live face, of every label by at least two speakers, "
                "found none that are enough; add clips"
            )
        sound_weight, face_weight = _weights_together(sound, face, truth)
        return cls(
            names,
            _log_prior(truth),
            None if sound is None else StreamRecognizer(sound.head, sound.weight, sound_weight),
            None if face is None else StreamRecognizer(face.head, face.weight, face_weight),
        )

    def log_probabilities(self, sound: SoundFeatures | None, face: FaceFeatures | None) -> Floats:
        """As `FeatureRecognizer`; the log prior where neither stream is informative."""
        informative = [
            (stream, values)
            for stream, values in ((self.sound, _spoken(sound)), (self.face, _live(face)))
            if stream is not None and values is not None
        ]
        scores = self.log_prior
        for stream, values in informative:
            weight = stream.weight_together if len(informative) == 2 else stream.weight_alone
            scores = scores + weight * (stream.head.log_probabilities(values) - self.log_prior)
        return log_softmax(scores)

    def digest(self) -> str:
        """SHA-256 (hex) of the content: equal for recognisers that answer alike."""
        return hashlib.sha256(self._to_bytes()).hexdigest()

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        write_atomically(path, self._to_bytes())

    @classmethod
    def load(cls, path: Path) -> FusionRecognizer:
        """Read what ``save`` wrote.

        Raises:
            UsageError: the file is missing, damaged or of another format.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                described = json.loads((file.metadata() or {})["description"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (the file is no mapping)
            if described["format"] != FORMAT:
                raise UsageError(f"{path}: expected format {FORMAT}, found {described['format']}; fit it again")
            return cls(
                tuple(described["labels"]),
                arrays["log_prior"],
                _stream_from_arrays("sound", arrays),
                _stream_from_arrays("face", arrays),
            )
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise UsageError(f"{path}: expected a recogniser written by save, found {error!r}; fit it again") from error

    def _to_bytes(self) -> bytes:
        from safetensors.numpy import save

        arrays = {"log_prior": self.log_prior}
        for name, stream in (("sound", self.sound), ("face", self.face)):
            if stream is not None:
                arrays[f"{name}.mean"] = stream.head.mean
                arrays[f"{name}.deviation"] = stream.head.deviation
                arrays[f"{name}.coefficients"] = stream.head.coefficients
                arrays[f"{name}.intercepts"] = stream.head.intercepts
                arrays[f"{name}.weights"] = np.array([stream.weight_alone, stream.weight_together])
        # One entry only: the library does not keep several in order.
        description = json.dumps({"format": FORMAT, "labels": self.labels})
        return bytes(save(arrays, metadata={"description": description}))


def _spoken(sound: SoundFeatures | None) -> Floats | None:
    return sound.values if sound is not None and sound.has_speech else None


def _live(face: FaceFeatures | None) -> Floats | None:
    return face.values if face is not None and face.is_live else None


def _stream_from_arrays(name: str, arrays: Mapping[str, Floats]) -> StreamRecognizer | None:
    if f"{name}.weights" not in arrays:
        return None
    parts = ("mean", "deviation", "coefficients", "intercepts")
    alone, together = arrays[f"{name}.weights"].tolist()
    return StreamRecognizer(LogisticHead(*(arrays[f"{name}.{part}"] for part in parts)), alone, together)


@dataclass(frozen=True, slots=True, eq=False)
class _FittedStream:
    """A fitted stream: head, best weight alone, and the held-out evidence (n_rows, n_labels) of clips ``rows``."""

    head: LogisticHead
    weight: float
    rows: Indices
    evidence: Floats


def _fit_stream(
    values_by_clip: Sequence[Floats | None], folds_by_clip: Indices, truth_by_clip: Indices, labels: Sequence[str]
) -> _FittedStream | None:
    """Fit one stream on the clips where it is informative; None if fewer than two folds hold one of the labels."""
    rows = np.array([row for row, values in enumerate(values_by_clip) if values is not None], dtype=np.intp)
    truth, folds, log_prior = truth_by_clip[rows], folds_by_clip[rows], _log_prior(truth_by_clip)
    if label_of_one_fold(truth, folds, len(labels)) is not None:
        return None
    values = np.stack([values for values in values_by_clip if values is not None])
    evidence = {
        strength: held_out_log_probabilities(values, truth, folds, labels, strength) - log_prior
        for strength in _STRENGTHS
    }
    strength, weight = min(
        product(_STRENGTHS, _WEIGHTS), key=lambda choice: _loss(log_prior + choice[1] * evidence[choice[0]], truth)
    )
    return _FittedStream(fit_logistic_head(values, truth, strength), weight, rows, evidence[strength])


def _log_prior(truth: Indices) -> Floats:
    return np.log(np.bincount(truth) / len(truth))


def _loss(scores: Floats, truth: Indices) -> float:
    """Mean negative log probability of the truth (n,) for unnormalised log probabilities (n, n_labels)."""
    return float(-log_softmax(scores)[np.arange(len(truth)), truth].mean())


def _weights_together(sound: _FittedStream | None, face: _FittedStream | None, truth: Indices) -> tuple[float, float]:
    """Weights of sound and face that fit the held-out clips with both best; those of each alone without such clips."""
    alone = (1.0 if sound is None else sound.weight, 1.0 if face is None else face.weight)
    if sound is None or face is None:
        return alone
    rows, in_sound, in_face = np.intersect1d(sound.rows, face.rows, return_indices=True)
    if not len(rows):
        return alone
    by_sound, by_face, log_prior = sound.evidence[in_sound], face.evidence[in_face], _log_prior(truth)

    def loss(weights: tuple[float, float]) -> float:
        return _loss(log_prior + weights[0] * by_sound + weights[1] * by_face, truth[rows])

    return min(product(_WEIGHTS, _WEIGHTS), key=loss)
