"""Recognisers of emotion by name, imported only when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from avemo_harness.errors import UsageError
from avemo_harness.registry import Kind, Registry

if TYPE_CHECKING:
    from avemo_harness.recognizers.judging import FeatureRecognizer

RECOGNIZERS = {"fusion": "avemo_harness.recognizers.heads.late_fusion:FusionRecognizer"}

RECOGNIZER = Kind(
    "recognizer",
    UsageError,
    {"fit": callable, "log_probabilities": callable, "save": callable, "load": callable},
)
REGISTRY = Registry(RECOGNIZER, RECOGNIZERS)

EMBEDDED = "embedded"
"""The judge that comes trained on the demo."""
JUDGES = {
    EMBEDDED: "avemo_harness.recognizers.checkpoint:open_embedded",
    "wav2vec2-dim": "avemo_harness.recognizers.judges.dimensional:DimensionalSpeech",
    "msp-podcast": "avemo_harness.recognizers.judges.dimensional:MspPodcastBaseline",
    "labels": "avemo_harness.recognizers.judges.labels:LabelJudge",
}
JUDGE_REGISTRY = Registry(Kind("judge", UsageError), JUDGES)
"""Recognisers that follow valence and arousal: functions of a `JudgeSetup`, or classes of arguments and one; see
`avemo_harness.recognizers.judging`."""

JUDGES_OF_PEOPLE: Mapping[str, str] = {
    "wav2vec2-dim": (
        "wav2vec2-dim: hears the voice, trained on English podcasts; 661 MB, CC BY-NC-SA 4.0, research only"
    ),
    "msp-podcast": "msp-podcast: hears the voice, trained on English podcasts; 1.27 GB, MIT",
    "labels": (
        "labels:face=trpakov/vit-face-expression: hears the voice and sees the face, by labels in place of ratings; "
        "378 MB and 343 MB, Apache-2.0 (without face=… it hears the voice alone)"
    ),
}
"""Judges without training by name: a spec, what they hear, the size of the download, the licence of the weights."""


def load_recognizer(name: str) -> type[FeatureRecognizer]:
    """The class of a recogniser that is built in or that an installed package adds.

    Raises:
        UsageError: no such recogniser, or a broken package.
    """
    recognizer = REGISTRY.load(name)
    plugin = REGISTRY.plugin(name)
    if plugin is None:
        return cast("type[FeatureRecognizer]", recognizer)
    from avemo_harness.recognizers.judging import PluginRecognizerClass

    return cast("type[FeatureRecognizer]", PluginRecognizerClass(recognizer, plugin))


def identify_recognizer(name: str) -> str:
    """The name with the package that it comes from and its version, where it is not built in; nothing is imported.

    Raises:
        UsageError: no such recogniser.
    """
    REGISTRY.check(name)
    plugin = REGISTRY.plugin(name)
    return f"{name} of {plugin.package}" if plugin else name
