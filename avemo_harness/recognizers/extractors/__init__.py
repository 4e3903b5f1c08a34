"""Feature extractors by name, imported only when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from avemo_harness.arguments import parse_arguments, typed_arguments
from avemo_harness.errors import UsageError
from avemo_harness.plugins import Kind, Registry

if TYPE_CHECKING:
    from avemo_harness.recognizers.extractors.base import FeatureExtractor

EXTRACTORS = {
    "builtin-sound": "avemo_harness.recognizers.extractors.builtin:BuiltinSound",
    "builtin-face": "avemo_harness.recognizers.extractors.builtin:BuiltinFace",
    "clip-sound": "avemo_harness.recognizers.categorical.clip_extractors:ClipSound",
    "clip-face": "avemo_harness.recognizers.categorical.clip_extractors:ClipFace",
    "wavlm": "avemo_harness.recognizers.extractors.speech:SpeechEncoder",
    "wav2vec2-dim": "avemo_harness.recognizers.extractors.speech:SpeechDimensions",
    "sensevoice": "avemo_harness.recognizers.extractors.sensevoice:SenseVoice",
    "videomae": "avemo_harness.recognizers.extractors.faces:VideoEncoder",
    "face-encoder": "avemo_harness.recognizers.extractors.faces:ImageEncoder",
    "hicmae": "avemo_harness.recognizers.extractors.hicmae:HiCMAE",
    "emotiefflib": "avemo_harness.recognizers.extractors.emotiefflib:EmotiEffLib",
}

REGISTRY = Registry(Kind("extractor", UsageError, {"extract": callable, "identity": callable}), EXTRACTORS)


def make_extractor(spec: str) -> FeatureExtractor:
    """Make an extractor that is built in or that an installed package adds.

    Args:
        spec: ``name`` or ``name:key=value,key=value``.

    Raises:
        UsageError: no such extractor, an argument that it does not take, or a value of the wrong type.

    >>> make_extractor("builtin-sound").modality
    'audio'
    """
    name, _, given = spec.partition(":")
    extractor = REGISTRY.load(name)
    arguments = typed_arguments(f"extractor {name}", extractor.Arguments, parse_arguments(given))
    return cast("FeatureExtractor", extractor(arguments))
