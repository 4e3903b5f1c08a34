"""Recognisers of labels that an installed package adds; whatever fails in them is one error that names the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avemo_harness.errors import RecognitionError
from avemo_harness.plugins import Plugin

if TYPE_CHECKING:
    from avemo_harness.recognizers.base import Recognizer
    from avemo_harness.recognizers.clip_features import ClipFeatures
    from avemo_harness.recognizers.face_features import FaceFeatures
    from avemo_harness.recognizers.logistic import Floats
    from avemo_harness.recognizers.sound_features import SoundFeatures


def _are_labels(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(label, str) for label in value) and bool(value)


@dataclass(frozen=True, slots=True)
class PluginRecognizers:
    """Stands for the class of the package: makes recognisers as `avemo_harness.recognizers.base.Recognizer` does."""

    kind: type[Recognizer]
    plugin: Plugin

    def fit(
        self,
        examples: Sequence[ClipFeatures],
        labels: Sequence[str],
        groups: Sequence[str],
        *,
        faces: Sequence[str] | None = None,
        seed: int,
    ) -> PluginRecognizer:
        """Learn; UsageError where the package's code fails."""
        with self.plugin.running("its fit()"):
            return self._made(self.kind.fit(examples, labels, groups, faces=faces, seed=seed))

    def load(self, path: Path) -> PluginRecognizer:
        """Read what `save` wrote; UsageError where the package's code fails."""
        with self.plugin.running("its load()"):
            return self._made(self.kind.load(path))

    def _made(self, recognizer: Recognizer) -> PluginRecognizer:
        labels = self.plugin.read("its labels", lambda: recognizer.labels, _are_labels, "a tuple of texts")
        return PluginRecognizer(recognizer, tuple(labels), self.plugin)


@dataclass(frozen=True, slots=True)
class PluginRecognizer:
    """A recogniser of the package that has learned."""

    recognizer: Recognizer
    labels: tuple[str, ...]
    plugin: Plugin

    def log_probabilities(self, sound: SoundFeatures | None, face: FaceFeatures | None) -> Floats:
        """As of any recogniser.

        Raises:
            RecognitionError: the package's code fails on the clip, or gives something else than a number a label.
        """
        with self.plugin.running_on_sample("its log_probabilities()", RecognitionError):
            found: Floats = np.asarray(self.recognizer.log_probabilities(sound, face), dtype=np.float64)
            if found.shape != (len(self.labels),) or np.isnan(found).any():
                raise ValueError(f"expected a number for each of {len(self.labels)} labels, found {found.tolist()}")
        return found

    def save(self, path: Path) -> None:
        """Write a file; UsageError where the package's code fails."""
        with self.plugin.running("its save()"):
            self.recognizer.save(path)
