"""A feature extractor of an installed package, whose failures are one error that names the package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from avemo_harness.errors import RecognitionError
from avemo_harness.plugins import Plugin, is_json_mapping
from avemo_harness.recognizers.extractors.base import FeatureExtractor, Features
from avemo_harness.recognizers.streams import Streams, View


def _is_named(value: Any) -> bool:
    return is_json_mapping(value) and isinstance(value.get("extractor"), str)


class PluginExtractor:
    """Extracts as the package's extractor does; what that says of itself is read once.

    Raises:
        UsageError: it cannot say what it is.
    """

    def __init__(self, extractor: FeatureExtractor, plugin: Plugin) -> None:
        self._extractor, self._plugin = extractor, plugin
        views, kinds = get_args(View), ", ".join(get_args(View))
        self.modality: View = plugin.read("its modality", lambda: extractor.modality, views.__contains__, kinds)
        self.width = plugin.read("its width", lambda: extractor.width, _is_width, "a number of columns above 0")
        self._identity: Mapping[str, str] = plugin.read(
            "its identity()", lambda: extractor.identity(), _is_named, "a mapping of texts with the key 'extractor'"
        )

    def identity(self) -> Mapping[str, str]:
        """Everything that may change a feature."""
        return self._identity

    def extract(self, streams: Streams, count: int, view: View) -> Features:
        """Describe a recording.

        Raises:
            RecognitionError: the package's code fails on it.
            MediaError: the recording cannot be read.
        """
        with self._plugin.running_on_sample("its extract()", RecognitionError):
            return self._extractor.extract(streams, count, view)


def _is_width(value: Any) -> bool:
    return isinstance(value, int) and value > 0
