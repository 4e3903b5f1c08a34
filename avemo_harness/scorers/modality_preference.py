"""Which modality does the model believe when voice and face disagree: AAR, VAR, OLR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.metrics.bootstrap import TOO_FEW, Estimate
from avemo_harness.metrics.preference import AUDIO, OTHER, VIDEO, preference_counts, preference_rate
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.scorers.answers import parsing_details, read_answer, unscored_line
from avemo_harness.scorers.base import Answer, ScoreLine, Tally, TaskScores, by_cluster

Floats = NDArray[np.float64]
RATES = {"aar": AUDIO, "var": VIDEO, "olr": OTHER}
TOO_FEW_GROUPS = "too few independent groups"
"""Note of a rate without an interval: pairs that share a dialogue, directly or through others, are one group."""


class ModalityPreferenceScorer:
    """Shares of conflict items answered with the sound's label, the face's, or neither. Invalid answers are neither."""

    metrics = frozenset(RATES)

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        assert isinstance(task.output, LabelOutput)
        output = task.output
        lines = tuple(_line(answer, output) for answer in answers)
        tally = Tally.of(lines)
        counts = by_cluster(lines, _counts)
        metrics = {
            name: tally.metric(of_groups(share_estimate(counts[:, which], counts.sum(axis=1))))
            for name, which in RATES.items()
        }
        return TaskScores(metrics, lines, _details(lines) | parsing_details(lines, output))


def of_groups(estimate: Estimate) -> Estimate:
    """Say of conflict items that groups of pairs are too few, not dialogues."""
    return replace(estimate, note=TOO_FEW_GROUPS) if estimate.note == TOO_FEW else estimate


def _line(answer: Answer, output: LabelOutput) -> ScoreLine:
    if (response := answer.scorable) is None:
        return unscored_line(answer)
    parsed = read_answer(response, output)
    sides = {answer.item.audio_label: "audio", answer.item.video_label: "video"}
    verdict = sides.get(parsed.label, "other") if parsed.label is not None else "other"
    return ScoreLine(answer.item, response.text, parsed.label, verdict, parsed.why)


def _counts(lines: Sequence[ScoreLine]) -> Floats:
    return preference_counts(
        [line.label for line in lines],
        [line.item.audio_label or "" for line in lines],
        [line.item.video_label or "" for line in lines],
    )


def _details(lines: Sequence[ScoreLine]) -> dict[str, object]:
    """Rates by pair of labels, and by direction: which of the two was heard."""
    scored = [line for line in lines if line.verdict not in ("error", "missing")]
    directions = sorted({(line.item.audio_label or "", line.item.video_label or "") for line in scored})
    pairs = sorted({tuple(sorted(direction)) for direction in directions})
    by_pair = {
        "~".join(pair): _rates([x for x in scored if {x.item.audio_label, x.item.video_label} == set(pair)])
        for pair in pairs
    }
    by_direction = {
        f"heard {audio}, seen {video}": _rates(
            [x for x in scored if (x.item.audio_label, x.item.video_label) == (audio, video)]
        )
        for audio, video in directions
    }
    invalid = sum(line.label is None for line in scored)
    return {
        "per_pair": by_pair,
        "per_direction": by_direction,
        "invalid_rate": invalid / len(scored) if scored else None,
    }


def _rates(lines: Sequence[ScoreLine]) -> dict[str, object]:
    counts = _counts(lines)
    rates: dict[str, object] = {name: float(preference_rate(counts, which)) for name, which in RATES.items()}
    return {**rates, "n": len(lines)}
