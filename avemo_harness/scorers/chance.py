"""Chance level of a task: what guesses that take no understanding would score on the asked items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from avemo_harness.benchmark.task import ChoiceOutput, LabelOutput, TaskSpec
from avemo_harness.scorers.base import Answer, Floats, MetricValue
from avemo_harness.scorers.metric import BUILT_IN

UNIFORM, MOST_FREQUENT = "chance: any answer alike", "chance: always the most frequent"
"""Names of the rows."""


def chance_rows(task: TaskSpec, answers: Sequence[Answer]) -> dict[str, dict[str, MetricValue]]:
    """Metrics of the two guesses, by row; nothing for answers that are neither labels nor letters.

    Of labels they are of the confusion matrix that the guess is expected to give: accuracy and recalls are exact, and a
    score of several recalls and precisions is that of the expected counts.
    """
    gold = Counter(answer.item.gold for answer in answers if answer.item.gold is not None)
    reported = {metric for scorer in task.scorers for metric in scorer.metrics}
    if not gold:
        return {}
    if isinstance(task.output, LabelOutput):
        counts = np.array([gold[label] for label in task.output.labels], dtype=np.float64)
        rows = {UNIFORM: _spread(counts), MOST_FREQUENT: _at_most_frequent(counts)}
        found = {name: _of_confusion(matrix, reported) for name, matrix in rows.items()}
    elif isinstance(task.output, ChoiceOutput) and "accuracy" in reported:
        n = gold.total()
        uniform = sum(1 / len(answer.item.order) for answer in answers if answer.item.gold is not None) / n
        found = {UNIFORM: {"accuracy": uniform}, MOST_FREQUENT: {"accuracy": max(gold.values()) / n}}
    else:
        return {}
    return {
        name: {metric: MetricValue(value, None, None, gold.total(), 0, 0) for metric, value in values.items()}
        for name, values in found.items()
    }


def _spread(counts: Floats) -> Floats:
    """The confusion matrix of a guess among L labels, the last column, invalid answers, empty: (L, L + 1)."""
    spread = np.repeat(counts[:, None] / len(counts), len(counts), axis=1)
    return np.concatenate([spread, np.zeros((len(counts), 1))], axis=1)


def _at_most_frequent(counts: Floats) -> Floats:
    """The same of whoever always gives the label that is true most often."""
    matrix = np.zeros((len(counts), len(counts) + 1))
    matrix[:, int(counts.argmax())] = counts
    return matrix


def _of_confusion(matrix: Floats, reported: set[str]) -> Mapping[str, float]:
    values = {
        metric.name: metric.of_counts(matrix)
        for metric in BUILT_IN["understanding"]
        if metric.counts is not None and metric.name in reported
    }
    return {name: value for name, value in values.items() if not np.isnan(value)}
