"""Can the model name the user's emotion: accuracy, F1 and the confusion matrix of one task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.metrics import classification
from avemo_harness.metrics.bootstrap import ClusterBootstrap, Statistic
from avemo_harness.scorers.answers import read_answer, unscored_line
from avemo_harness.scorers.base import Answer, ScoreLine, Tally, TaskScores
from avemo_harness.scorers.clusters import by_cluster

Floats = NDArray[np.float64]


class UnderstandingScorer:
    """Accuracy, macro F1 and balanced accuracy over user turns. Invalid answers are wrong; errors are not scored."""

    metrics = frozenset({"accuracy", "macro_f1", "f1_all4", "balanced_accuracy"})

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        assert isinstance(task.output, LabelOutput)
        output = task.output
        lines = tuple(_line(answer, output) for answer in answers)
        tally = Tally.of(lines)
        shape = (len(output.labels), len(output.labels) + 1)
        counts = by_cluster(lines, lambda group: _confusion(group, output).ravel())
        occurring = np.array([any(line.item.gold == label for line in lines) for label in output.labels])
        statistics: dict[str, Statistic] = {
            "accuracy": classification.accuracy,
            "macro_f1": lambda sums: classification.macro_f1(sums, occurring),
            "f1_all4": classification.macro_f1_all,
            "balanced_accuracy": classification.balanced_accuracy,
        }
        bootstrap = ClusterBootstrap(counts)
        metrics = {
            name: tally.metric(bootstrap.estimate(_of_confusion(statistic, shape)))
            for name, statistic in statistics.items()
        }
        return TaskScores(metrics, lines, _details(counts.sum(axis=0).reshape(shape), output, occurring))


def _of_confusion(statistic: Statistic, shape: tuple[int, int]) -> Statistic:
    """The same statistic over flattened confusion matrices."""
    return lambda sums: statistic(sums.reshape(-1, *shape))


def _line(answer: Answer, output: LabelOutput) -> ScoreLine:
    if not answer.scorable:
        return unscored_line(answer)
    reading = read_answer(answer, output)
    verdict = "right" if reading.label == answer.item.gold else "wrong"
    return ScoreLine(answer.item, answer.text, reading.label, verdict, reading.why)


def _confusion(lines: Sequence[ScoreLine], output: LabelOutput) -> Floats:
    position = {label: i for i, label in enumerate(output.labels)}
    gold = [position[line.item.gold or ""] for line in lines]
    predicted = [None if line.label is None else position[line.label] for line in lines]
    return classification.confusion_counts(gold, predicted, len(output.labels))


def _details(counts: Floats, output: LabelOutput, occurring: NDArray[np.bool_]) -> dict[str, object]:
    per_label = zip(
        output.labels,
        classification.precision_per_label(counts),
        classification.recall_per_label(counts),
        classification.f1_per_label(counts),
        counts.sum(axis=-1),
        strict=True,
    )
    return {
        "labels": list(output.labels),
        "labels_without_gold": [x for x, seen in zip(output.labels, occurring, strict=True) if not seen],
        "confusion": {
            "rows": "gold",
            "columns": [*output.labels, "invalid"],
            "counts": [[int(cell) for cell in row] for row in counts],
        },
        "per_class": {
            label: {"precision": _or_null(p), "recall": _or_null(r), "f1": _or_null(f), "n": int(n)}
            for label, p, r, f, n in per_label
        },
    }


def _or_null(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
