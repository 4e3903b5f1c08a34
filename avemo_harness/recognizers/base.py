"""What a recogniser of emotion is, so that the model `baseline` can learn with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from avemo_harness.recognizers.clip_features import ClipFeatures
    from avemo_harness.recognizers.face_features import FaceFeatures
    from avemo_harness.recognizers.logistic import Floats
    from avemo_harness.recognizers.sound_features import SoundFeatures


class Recognizer(Protocol):
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
    ) -> Recognizer:
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
        """Write a file, whole or not at all (`avemo_harness.paths.write_atomically`): several processes may do it."""
        ...

    @classmethod
    def load(cls, path: Path) -> Recognizer:
        """Read what `save` wrote.

        Raises:
            UsageError: the file is missing or damaged.
        """
        ...
