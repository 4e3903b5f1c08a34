"""The modality that a model believes when voice and face disagree, for `evaluate.load`."""

from __future__ import annotations

from collections.abc import Sequence

import datasets
import evaluate  # type: ignore[import-untyped]  # (it has no types)

from avemo_harness.hf_evaluate.inputs import Synonyms, label_output, metric_info, rates_of_lines, read_lines

DESCRIPTION = """\
Which modality a model believes when voice and face disagree: the audio-aligned, video-aligned and other-label rates of
AV-EMO-Reasoning (arXiv 2510.07355). Each is in [0, 1] and they sum to 1.
"""
INPUTS = """
Args:
    predictions: generated answers to conflict items, read as by the metric avemo_understanding.
    audio_labels: the emotion of each item's voice.
    video_labels: the emotion of each item's face, another one.
    labels: all labels, default neutral, happy, angry, sad.
    synonyms: further words that count as a label, by label or by language and label; default, with the default labels,
        those of the benchmark in seven languages.
Returns:
    aar: answers that name the voice's label / answers.
    var: answers that name the face's.
    olr: answers that name neither, invalid ones included.
    invalid_rate: answers that name no label at all.
    n: answers.
    Every value but n is None where there are no answers.
Examples:
    >>> metric.compute(predictions=["sad", "happy", "neutral", "?"], audio_labels=["sad", "sad", "sad", "sad"],
    ...     video_labels=["happy", "happy", "happy", "happy"])
    {'aar': 0.25, 'var': 0.25, 'olr': 0.5, 'invalid_rate': 0.25, 'n': 4}
"""
CITATION = "AV-EMO-Reasoning, arXiv 2510.07355"


class AvemoModalityPreference(evaluate.Metric):  # type: ignore[misc]  # (evaluate has no types)
    """AAR, VAR and OLR of answers to conflict items."""

    def _info(self) -> evaluate.MetricInfo:
        columns = ("predictions", "audio_labels", "video_labels")
        return metric_info(DESCRIPTION, INPUTS, {name: datasets.Value("string") for name in columns}, CITATION)

    def _compute(
        self,
        predictions: Sequence[str | None],
        audio_labels: Sequence[str],
        video_labels: Sequence[str],
        labels: Sequence[str] | None = None,
        synonyms: Synonyms | None = None,
    ) -> dict[str, float | None]:
        output = label_output(labels, synonyms)
        lines = read_lines(predictions, output, audio_labels=audio_labels, video_labels=video_labels)
        return rates_of_lines("modality_preference", lines, output)
