"""A recogniser for the model `baseline`: the label whose clips sound most alike on average."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import UsageError
from avemo_harness.files import write_atomically
from avemo_harness.recognizers.features.builtin import ClipFeatures
from avemo_harness.recognizers.features.face import FaceFeatures
from avemo_harness.recognizers.features.sound import SoundFeatures

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class NearestMean:
    """Compares the features of a clip's sound with their mean over the training clips of each label.

    Attributes:
        labels: in the order of every array of labels.
        means: float64 (n_labels, n_values).
        deviation: float64 (n_values,), what differences are divided by; positive.
    """

    labels: tuple[str, ...]
    means: Floats
    deviation: Floats

    @classmethod
    def fit(
        cls,
        examples: Sequence[ClipFeatures],
        labels: Sequence[str],
        groups: Sequence[str],
        *,
        faces: Sequence[str] | None = None,
        seed: int,
    ) -> NearestMean:
        """Learn the means; nothing is drawn, nothing validated, and faces are not looked at."""
        del groups, faces, seed
        heard = [
            (clip.sound.values, label) for clip, label in zip(examples, labels, strict=True) if clip.sound is not None
        ]
        if not heard:
            raise UsageError("example_nearest: no training clip has sound; train on others (--model_args train=…)")
        names = tuple(sorted({label for _, label in heard}))
        means = np.stack([np.mean([values for values, label in heard if label == name], axis=0) for name in names])
        deviation = np.std([values for values, _ in heard], axis=0)
        return cls(names, means, np.where(deviation > 0, deviation, 1.0))

    def log_probabilities(self, sound: SoundFeatures | None, face: FaceFeatures | None) -> Floats:
        """Natural logarithms of the labels' probabilities, shape (n_labels,); all equal for a clip without sound."""
        del face
        if sound is None:
            return np.full(len(self.labels), -np.log(len(self.labels)))
        scores = -np.mean(((sound.values - self.means) / self.deviation) ** 2, axis=1)
        normalised: Floats = scores - np.logaddexp.reduce(scores)
        return normalised

    def save(self, path: Path) -> None:
        """Write a JSON file, whole or not at all."""
        content = {"labels": self.labels, "means": self.means.tolist(), "deviation": self.deviation.tolist()}
        write_atomically(path, json.dumps(content))

    @classmethod
    def load(cls, path: Path) -> NearestMean:
        """Read what `save` wrote (UsageError: the file is missing or damaged)."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(tuple(content["labels"]), np.array(content["means"]), np.array(content["deviation"]))
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"{path}: expected a recogniser written by save, found {error!r}; delete it") from error
