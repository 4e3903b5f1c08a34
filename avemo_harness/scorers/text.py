"""The scorer `text_match`: share of texts that equal the true one, exactly or in a normal form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.scorers.answer_texts import TextMatching
from avemo_harness.scorers.answers import without_thoughts
from avemo_harness.scorers.base import Answer, Floats, ScoreLine, Tally, TaskScores, by_cluster
from avemo_harness.scorers.metric import BUILT_IN, Metric

EXACT = "exact_match"


class TextMatchScorer:
    """Share of answers that equal the true text: to the letter, and but for case, punctuation and articles.

    Thoughts and white space around an answer are no part of it; one without words is invalid, and wrong. Items without
    a true text are not scored.
    """

    Arguments = TextMatching
    metrics = BUILT_IN["text_match"]

    def __init__(self, arguments: TextMatching) -> None:
        self.arguments = arguments

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        del task
        lines = tuple(self._line(answer) for answer in answers)
        tally = Tally.of(lines)
        metrics = {}
        for metric in self.metrics:
            right, scored = by_cluster(lines, _counts_of(metric)).T
            metrics[metric.name] = tally.metric(share_estimate(right, scored))
        return TaskScores(metrics, lines, {"matching": asdict(self.arguments)})

    def _line(self, answer: Answer) -> ScoreLine:
        if (line := unscored_text(answer)) is not None:
            return line
        told = text_of(answer)
        truth = (answer.item.gold or "").strip()
        if told is None:
            return ScoreLine.of(answer, None, "wrong", "no words", {EXACT: 0.0})
        alike = self.arguments.normalised(told) == self.arguments.normalised(truth)
        exact = told == truth
        why = "equal" if exact else "equal in normal form" if alike else "differs"
        return ScoreLine.of(answer, told, "right" if alike else "wrong", why, {EXACT: float(exact)})


def unscored_text(answer: Answer) -> ScoreLine | None:
    """The line of an item that has no answer, or no text to hold it against; None where it has both."""
    if answer.scorable is None:
        return ScoreLine.unscored(answer)
    if answer.item.gold is None:
        return ScoreLine.of(answer, None, "no truth", "the data set has no answer to it")
    return None


def text_of(answer: Answer) -> str | None:
    """The words of a text answer, without thoughts; None where there are none."""
    outside, _ = without_thoughts((answer.scorable.text if answer.scorable else None) or "")
    return outside.strip() or None


def _counts_of(metric: Metric) -> Callable[[Sequence[ScoreLine]], Floats]:
    if metric.counts is not None:
        count = metric.counts
        return lambda group: count(group, ())
    return lambda group: np.array([sum(line.values[metric.name] or 0.0 for line in group), len(group)])
