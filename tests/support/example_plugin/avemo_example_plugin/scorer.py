"""A scorer with one metric: is the answer on the right side of pleasant and unpleasant?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.metrics.bootstrap import ClusterBootstrap
from avemo_harness.scorers.answers import read_answer, unscored_line
from avemo_harness.scorers.base import Answer, ScoreLine, Tally, TaskScores, by_cluster

SIDES = {"happy": "pleasant", "neutral": "neither", "angry": "unpleasant", "sad": "unpleasant"}


class ValenceScorer:
    """`valence_accuracy`: share of answers whose side is the truth's, in [0, 1], higher is better.

    An answer without a label is wrong; items that failed are counted and not scored.
    """

    metrics = frozenset({"valence_accuracy"})

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        """Score each answer, then sum the counts of each dialogue, so that the interval resamples dialogues."""
        assert isinstance(task.output, LabelOutput)
        lines = tuple(_line(answer, task.output) for answer in answers)
        estimate = ClusterBootstrap(by_cluster(lines, _right_and_all)).estimate(lambda sums: sums[:, 0] / sums[:, 1])
        return TaskScores({"valence_accuracy": Tally.of(lines).metric(estimate)}, lines, details={})


def _line(answer: Answer, output: LabelOutput) -> ScoreLine:
    if (response := answer.scorable) is None:
        return unscored_line(answer)
    parsed = read_answer(response, output)
    is_right = parsed.label is not None and SIDES.get(parsed.label) == SIDES.get(answer.item.gold or "")
    return ScoreLine(answer.item, response.text, parsed.label, "right" if is_right else "wrong", parsed.why)


def _right_and_all(lines: Sequence[ScoreLine]) -> NDArray[np.float64]:
    return np.array([sum(line.verdict == "right" for line in lines), len(lines)], dtype=np.float64)
