"""Several extractors side by side: the input of a recogniser, with bits that tell which streams it was shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avemo_harness.recognizers.extractors.base import FeatureExtractor, Features
from avemo_harness.recognizers.feature_cache import FeatureCache
from avemo_harness.recognizers.streams import Streams, View

MASK_BITS = 2
"""The last columns: 1 where the sound was shown, 1 where the face was."""


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Extractors whose rows are joined.

    Args:
        cache: keeps what was extracted; None computes it every time.
    """

    extractors: tuple[FeatureExtractor, ...]
    cache: FeatureCache | None = None

    @property
    def width(self) -> int:
        return sum(extractor.width for extractor in self.extractors) + MASK_BITS

    def rows(self, streams: Streams, count: int, view: View) -> Features:
        """The joined rows of a recording under a view, float32 (count, width).

        The columns of an extractor that the view hides are 0, and so is its mask bit.

        Raises:
            MediaError: the recording cannot be read.
        """
        blocks = [self._block(extractor, streams, count, view) for extractor in self.extractors]
        bits = np.tile(np.array([view != "video", view != "audio"], dtype=np.float32), (count, 1))
        return np.concatenate([*blocks, bits], axis=1)

    def _block(self, extractor: FeatureExtractor, streams: Streams, count: int, view: View) -> Features:
        if view not in ("both", extractor.modality) and extractor.modality != "both":
            return np.zeros((count, extractor.width), dtype=np.float32)
        if self.cache is None:
            return extractor.extract(streams, count, view)
        return self.cache.features(extractor, streams, count, view)
