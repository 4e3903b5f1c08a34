"""Scorers of labels and of spoken replies: is an answer on the pleasant side, and how pleasant does a reply sound?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.scorers.answers import read_answer
from avemo_harness.scorers.base import Answer, ScoreLine, Tally, TaskScores, by_cluster
from avemo_harness.scorers.metric import Metric
from avemo_harness.scorers.reasoning import read_reply
from avemo_harness.scorers.reasoning_columns import Column, mean_metrics

Floats = NDArray[np.float64]
SIDES = {"happy": "pleasant", "neutral": "neither", "angry": "unpleasant", "sad": "unpleasant"}


def right_and_all(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    """Right answers and all answers, shape (2,); they are summed over the dialogues."""
    return np.array([sum(line.verdict == "right" for line in lines), len(lines)], dtype=np.float64)


class ValenceScorer:
    """`valence_accuracy`: share of answers whose side is the truth's, in [0, 1], higher is better.

    An answer without a label is wrong; items that failed are counted and not scored.
    """

    # With counts and a statistic, `compare` pairs the metric turn by turn; its name alone would do for all else.
    metrics = (
        Metric(
            "valence_accuracy",
            counts=right_and_all,
            statistic=lambda sums, total: sums[:, 0] / sums[:, 1],
            verdict="right",
        ),
    )

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        """Score each answer, then sum the counts of each dialogue, so that the interval resamples dialogues."""
        assert isinstance(task.output, LabelOutput)
        lines = tuple(_line(answer, task.output) for answer in answers)
        right, scored = by_cluster(lines, right_and_all).T
        return TaskScores({"valence_accuracy": Tally.of(lines).metric(share_estimate(right, scored))}, lines, {})


def _line(answer: Answer, output: LabelOutput) -> ScoreLine:
    if (response := answer.scorable) is None:
        return ScoreLine.unscored(answer)
    parsed = read_answer(response, output)
    is_right = parsed.label is not None and SIDES.get(parsed.label) == SIDES.get(answer.item.gold or "")
    return ScoreLine.of(answer, parsed.label, "right" if is_right else "wrong", parsed.why)


class PleasantnessScorer:
    """`reply_valence`: mean valence of the voice of spoken replies, in [0, 1], higher is more pleasant.

    Replies without speech have no value. Replies are judged since the metric `needs_judge`; one that was not judged
    yet, or whose judgement failed, is not scored.
    """

    metrics = (Metric("reply_valence", higher_is_better=None, unit="valence", needs_judge=True),)

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        """Average what the recogniser says of each reply; `compare` pairs the values that the lines carry."""
        lines = tuple(map(_reply_line, answers))
        scored = [line for line in lines if line.scored]
        values = np.array([line.values.get("reply_valence") for line in scored], dtype=np.float64)
        column = Column(values, [line.cluster for line in scored])
        n_errors = sum(line.verdict == "error" for line in lines)
        return TaskScores(mean_metrics({"reply_valence": column}, n_errors), lines, {})


def _reply_line(answer: Answer) -> ScoreLine:
    line, exchange = read_reply(answer)
    if exchange is None:
        return line
    return replace(line, values={"reply_valence": float(exchange.reply.on("unit").column("valence").mean())})
