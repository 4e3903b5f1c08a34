"""Several extractors side by side: the input of a recogniser, with bits that tell which streams it was shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.recognizers.extractors.base import FeatureExtractor, Features, extracted
from avemo_harness.recognizers.streams import Streams, View

if TYPE_CHECKING:
    from avemo_harness.recognizers.feature_cache import FeatureCache

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

    def shown(self, view: View) -> NDArray[np.bool_]:
        """Which columns a view fills, bool (width,); the others are 0."""
        blocks = [np.full(extractor.width, _is_shown(extractor, view)) for extractor in self.extractors]
        return np.concatenate([*blocks, np.array([view != "video", view != "audio"])])

    def rows(self, streams: Streams, count: int, view: View) -> Features:
        """The joined rows of a recording under a view, float32 (count, width).

        The columns of an extractor that the view hides are 0, and so is its mask bit.

        Raises:
            MediaError: the recording cannot be read.
            RecognitionError: an extractor fails on it.
        """
        return self._joined({}, streams, count, view)

    def views(self, streams: Streams, count: int) -> Mapping[View, Features]:
        """The rows of a recording under each of its views; what does not depend on the view is extracted once."""
        blocks: dict[int, Features] = {}
        return {view: self._joined(blocks, streams, count, view) for view in streams.views}

    def _joined(self, blocks: dict[int, Features], streams: Streams, count: int, view: View) -> Features:
        parts = []
        for place, extractor in enumerate(self.extractors):
            if not _is_shown(extractor, view):
                parts.append(np.zeros((count, extractor.width), dtype=np.float32))
            elif extractor.modality == "both":
                parts.append(self._extract(extractor, streams, count, view))
            else:
                if place not in blocks:
                    blocks[place] = self._extract(extractor, streams, count, view)
                parts.append(blocks[place])
        bits = np.tile(self.shown(view)[-MASK_BITS:].astype(np.float32), (count, 1))
        return np.concatenate([*parts, bits], axis=1)

    def _extract(self, extractor: FeatureExtractor, streams: Streams, count: int, view: View) -> Features:
        if self.cache is None:
            return extracted(extractor, streams, count, view)
        return self.cache.features(extractor, streams, count, view)


def _is_shown(extractor: FeatureExtractor, view: View) -> bool:
    return extractor.modality == "both" or view in ("both", extractor.modality)
