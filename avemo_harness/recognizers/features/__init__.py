"""Feature extractors by name, imported only when asked for."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

from avemo_harness.errors import UsageError
from avemo_harness.registry import Kind, Registry, parse_arguments, typed_arguments

if TYPE_CHECKING:
    from avemo_harness.recognizers.features.base import FeatureExtractor

EXTRACTORS = {
    "builtin-sound": "avemo_harness.recognizers.features.builtin:BuiltinSound",
    "builtin-face": "avemo_harness.recognizers.features.builtin:BuiltinFace",
    "clip-sound": "avemo_harness.recognizers.features.builtin:ClipSound",
    "clip-face": "avemo_harness.recognizers.features.builtin:ClipFace",
    "wavlm": "avemo_harness.recognizers.features.speech:SpeechEncoder",
    "wav2vec2-dim": "avemo_harness.recognizers.features.speech:SpeechDimensions",
    "sensevoice": "avemo_harness.recognizers.features.sensevoice:SenseVoice",
    "videomae": "avemo_harness.recognizers.features.face_encoders:VideoEncoder",
    "face-encoder": "avemo_harness.recognizers.features.face_encoders:ImageEncoder",
    "hicmae": "avemo_harness.recognizers.features.hicmae:HiCMAE",
    "emotiefflib": "avemo_harness.recognizers.features.face_encoders:EmotiEffLib",
}

EXTRACTOR = Kind(
    "extractor",
    UsageError,
    {"Arguments": dataclasses.is_dataclass, "extract": callable, "identity": callable},
)
REGISTRY = Registry(EXTRACTOR, EXTRACTORS)


def make_extractor(spec: str) -> FeatureExtractor:
    """Make an extractor that is built in or that an installed package adds.

    Args:
        spec: ``name`` or ``name:key=value,key=value``.

    Raises:
        UsageError: no such extractor, an argument that it does not take, a value of the wrong type, or a package that
            is broken.

    >>> make_extractor("builtin-sound").modality
    'audio'
    """
    name, _, given = spec.partition(":")
    extractor = REGISTRY.load(name)
    plugin = REGISTRY.plugin(name)
    if plugin is None:
        return _make(name, extractor, given)
    from avemo_harness.recognizers.features.base import PluginExtractor

    with plugin.running("its construction"):
        made = _make(name, extractor, given)
    return PluginExtractor(made, plugin)


def _make(name: str, extractor: Any, given: str) -> FeatureExtractor:
    arguments = typed_arguments(f"extractor {name}", extractor.Arguments, parse_arguments(given))
    return cast("FeatureExtractor", extractor(arguments))
