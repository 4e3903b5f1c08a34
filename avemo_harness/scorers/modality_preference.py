"""The modality that a model believes when voice and face disagree: AAR, VAR, OLR."""

from __future__ import annotations

from collections.abc import Sequence

from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.scorers.answers import parsing_details, read_answer
from avemo_harness.scorers.base import Answer, ScoreLine, Tally, TaskScores, by_cluster
from avemo_harness.scorers.metric import BUILT_IN, preference_counts


class ModalityPreferenceScorer:
    """Shares of conflict items answered with the sound's label, the face's, or neither. Invalid answers are neither."""

    metrics = BUILT_IN["modality_preference"]

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        assert isinstance(task.output, LabelOutput)
        output = task.output
        lines = tuple(_line(answer, output) for answer in answers)
        tally = Tally.of(lines)
        counts = by_cluster(lines, preference_counts)
        metrics = {
            metric.name: tally.metric(metric.noted(share_estimate(counts[:, which], counts.sum(axis=1))))
            for which, metric in enumerate(self.metrics)
        }
        return TaskScores(metrics, lines, _details(lines) | parsing_details(lines, output))


def _line(answer: Answer, output: LabelOutput) -> ScoreLine:
    if (response := answer.scorable) is None:
        return ScoreLine.unscored(answer)
    parsed = read_answer(response, output)
    sides = {answer.item.audio_label: "audio", answer.item.video_label: "video"}
    verdict = sides.get(parsed.label, "other") if parsed.label is not None else "other"
    return ScoreLine.of(answer, parsed.label, verdict, parsed.why)


def _details(lines: Sequence[ScoreLine]) -> dict[str, object]:
    """Rates by pair of labels, and by direction: which of the two was heard."""
    scored = [line for line in lines if line.scored]
    directions = sorted({(line.audio_label or "", line.video_label or "") for line in scored})
    pairs = sorted({tuple(sorted(direction)) for direction in directions})
    by_pair = {
        "~".join(pair): _rates([x for x in scored if {x.audio_label, x.video_label} == set(pair)]) for pair in pairs
    }
    by_direction = {
        f"heard {audio}, seen {video}": _rates([x for x in scored if (x.audio_label, x.video_label) == (audio, video)])
        for audio, video in directions
    }
    invalid = sum(line.label is None for line in scored)
    return {
        "per_pair": by_pair,
        "per_direction": by_direction,
        "invalid_rate": invalid / len(scored) if scored else None,
    }


def _rates(lines: Sequence[ScoreLine]) -> dict[str, object]:
    counts = preference_counts(lines)
    rates = {metric.name: metric.of_counts(counts) for metric in BUILT_IN["modality_preference"]}
    return {**rates, "n": len(lines)}
