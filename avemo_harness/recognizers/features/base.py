"""Protocol of a feature extractor (two rows a second), and extractors of plug-ins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import AvemoError, RecognitionError, first_line
from avemo_harness.recognizers.recordings import Modality, Recording
from avemo_harness.registry import Plugin, is_json_mapping

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
    def modality(self) -> Modality: ...

    @property
    def width(self) -> int: ...

    def identity(self) -> Mapping[str, str]:
        """Everything that may change a feature: name, version, weights by content, settings, versions of libraries."""
        ...

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
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


def extract_checked(extractor: FeatureExtractor, streams: Recording, count: int, view: Modality) -> Features:
    """Features of a recording, (count, width).

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


def _is_named(value: Any) -> bool:
    return is_json_mapping(value) and isinstance(value.get("extractor"), str)


class PluginExtractor:
    """Extracts as the package's extractor does; what that says of itself is read once.

    Raises:
        UsageError: it cannot say what it is.
    """

    def __init__(self, extractor: FeatureExtractor, plugin: Plugin) -> None:
        self._extractor, self._plugin = extractor, plugin
        views, kinds = get_args(Modality), ", ".join(get_args(Modality))
        self.modality: Modality = plugin.read("its modality", lambda: extractor.modality, views.__contains__, kinds)
        self.width = plugin.read("its width", lambda: extractor.width, _is_width, "a number of columns above 0")
        self._identity: Mapping[str, str] = plugin.read(
            "its identity()", lambda: extractor.identity(), _is_named, "a mapping of texts with the key 'extractor'"
        )

    def identity(self) -> Mapping[str, str]:
        return self._identity

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        """RecognitionError where the package's code fails on the recording."""
        with self._plugin.running_on_sample("its extract()", RecognitionError):
            return self._extractor.extract(streams, count, view)


def _is_width(value: Any) -> bool:
    return isinstance(value, int) and value > 0
