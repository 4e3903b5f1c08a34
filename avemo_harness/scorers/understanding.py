"""Can the model name the user's emotion: accuracy, F1, the confusion matrix and, for ranked labels, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.metrics import classification
from avemo_harness.metrics.bootstrap import ClusterBootstrap, Estimate, Statistic
from avemo_harness.metrics.shares import accuracy_estimate, score_estimate
from avemo_harness.scorers.answers import parsing_details, read_answer, unscored_line
from avemo_harness.scorers.base import Answer, Metric, ScoreLine, Tally, TaskScores
from avemo_harness.scorers.calibration import Forecasts, calibration_estimates, forecast_values, ranking_details
from avemo_harness.scorers.clusters import by_cluster

Floats = NDArray[np.float64]


class UnderstandingScorer:
    """Accuracy, macro F1, balanced accuracy and calibration over user turns; errors are not scored.

    Invalid answers are wrong. ECE and Brier score are of the answers that rank the labels (their `n`), and undefined
    where answers are generated.
    """

    metrics = frozenset({"accuracy", "macro_f1", "f1_all4", "balanced_accuracy", "ece", "brier"})

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        assert isinstance(task.output, LabelOutput)
        output = task.output
        lines = tuple(_line(answer, output) for answer in answers)
        tally = Tally.of(lines)
        shape = (len(output.labels), len(output.labels) + 1)
        counts = by_cluster(lines, lambda group: _confusion(group, output).ravel())
        occurring = np.array([any(line.item.gold == label for line in lines) for label in output.labels])
        statistics: dict[str, Statistic] = {
            "macro_f1": lambda sums: classification.macro_f1(sums, occurring),
            "f1_all4": classification.macro_f1_all,
            "balanced_accuracy": classification.balanced_accuracy,
        }
        bootstrap = ClusterBootstrap(counts)
        metrics = {
            "accuracy": tally.metric(accuracy_estimate(counts.reshape(-1, *shape))),
            **{
                name: tally.metric(score_estimate(bootstrap, _of_confusion(statistic, shape)))
                for name, statistic in statistics.items()
            },
        }
        details = _details(counts.sum(axis=0).reshape(shape), output, occurring) | parsing_details(lines, output)
        if output.method == "rank":
            details["ranking"] = ranking_details(answers, output)
        return TaskScores({**metrics, **_calibration(answers, output, tally)}, lines, details)


def _calibration(answers: Sequence[Answer], output: LabelOutput, tally: Tally) -> Mapping[str, Metric]:
    if output.method == "generate":
        undefined = replace(tally, n=0).metric(Estimate(None, None, None))
        return {"ece": undefined, "brier": undefined}
    forecasts = Forecasts.of(answers, output.labels, output.rank_by)
    ranked = replace(tally, n=len(forecasts.gold))
    return {name: ranked.metric(estimate) for name, estimate in calibration_estimates(forecasts).items()}


def _of_confusion(statistic: Statistic, shape: tuple[int, int]) -> Statistic:
    """The same statistic over flattened confusion matrices."""
    return lambda sums: statistic(sums.reshape(-1, *shape))


def _line(answer: Answer, output: LabelOutput) -> ScoreLine:
    if not answer.scorable:
        return unscored_line(answer)
    parsed = read_answer(answer, output)
    verdict = "right" if parsed.label == answer.item.gold else "wrong"
    values = forecast_values(answer, output)
    return ScoreLine(answer.item, answer.text, parsed.label, verdict, parsed.why, values)


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
