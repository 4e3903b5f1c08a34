"""What a feature extractor is: from a recording to two rows of numbers a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import AvemoError, RecognitionError, first_line
from avemo_harness.recognizers.streams import Streams, View

RATE_HZ = 2.0
"""Rows a second of every extractor: row t describes the recording around (t + 0.5) / 2 seconds."""

Features = NDArray[np.float32]


class FeatureExtractor(Protocol):
    """Describes the sound, the face or both of a recording. Construction is cheap; weights are loaded when first used.

    A class also has a frozen dataclass `Arguments` with its typed arguments; it is made as ``Class(arguments)``.

    Attributes:
        modality: what it looks at.
        width: numbers a row.
    """

    @property
    def modality(self) -> View: ...

    @property
    def width(self) -> int: ...

    def identity(self) -> Mapping[str, str]:
        """Everything that may change a feature: name, version, weights by content, settings, versions of libraries."""
        ...

    def extract(self, streams: Streams, count: int, view: View) -> Features:
        """Describe a recording.

        Args:
            count: rows to give, 2 a second: a stream that is a little shorter is continued with its last row.
            view: for an extractor of both modalities, what it may look at; one of a single modality is only asked for
                views that hold it, and gives the same for each.

        Returns:
            float32 (count, width), finite.

        Raises:
            MediaError: the recording cannot be read.
        """
        ...


def extracted(extractor: FeatureExtractor, streams: Streams, count: int, view: View) -> Features:
    """What an extractor makes of a recording, (count, width).

    Raises:
        RecognitionError: it fails on the recording, or gives rows of another shape.
        MediaError: the recording cannot be read.
    """
    name = dict(extractor.identity())["extractor"]
    try:
        rows = extractor.extract(streams, count, view)
        shape = np.shape(rows)
    except RecognitionError as error:
        raise RecognitionError(f"{streams.name}: {error}") from error
    except AvemoError:
        raise
    except Exception as error:  # a network may run out of memory on one long recording
        raise RecognitionError(
            f"{streams.name}: extractor {name} failed ({type(error).__name__}: {first_line(error)})"
        ) from error
    if shape != (count, extractor.width):
        raise RecognitionError(
            f"{streams.name}: extractor {name} gave rows of shape {shape}, expected {(count, extractor.width)}"
        )
    return rows
