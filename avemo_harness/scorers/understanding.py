"""The scorer `understanding`: accuracy, F1, confusion, calibration of ranked labels, fusion gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.task import LabelOutput, RankBy, TaskSpec
from avemo_harness.metrics import calibration, classification
from avemo_harness.metrics.bootstrap import (
    ClusterBootstrap,
    Estimate,
    ItemBootstrap,
    bounded_at_edges,
    interval_of_biased,
    interval_of_gain,
    interval_of_inflated,
)
from avemo_harness.metrics.paired import around_zero, difference
from avemo_harness.metrics.shares import accuracy_estimate, score_estimate
from avemo_harness.scorers.answers import RankingError, label_scores, parsing_details, read_answer
from avemo_harness.scorers.base import Answer, MetricValue, ScoreLine, Tally, TaskScores, by_cluster, metric_value
from avemo_harness.scorers.metric import BUILT_IN, Metric, confusion_counts

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Probabilities of the labels by the answers that rank them: N answers, L labels.

    Args:
        probabilities: softmax over the labels of the deciding scores, shape (N, L).
        confidences: the probability of the answer, which is the highest, shape (N,).
        hits: 1 where the answer is the gold label, else 0, shape (N,).
        gold: index of the gold label, shape (N,).
        clusters: number of the item's cluster, shape (N,).
    """

    probabilities: Floats
    confidences: Floats
    hits: Floats
    gold: Integers
    clusters: Integers

    @classmethod
    def of(cls, answers: Sequence[Answer], labels: tuple[str, ...], rank_by: RankBy) -> Forecasts:
        """Take the answers that can be ranked; errors, missing items and invalid answers forecast nothing."""
        scores, gold, clusters = [], [], []
        for answer in answers:
            if (response := answer.scorable) and answer.item.gold is not None:
                try:
                    scores.append(label_scores(response, labels, rank_by))
                except RankingError:
                    continue
                gold.append(labels.index(answer.item.gold))
                clusters.append(answer.item.cluster)
        table = np.array(scores, dtype=np.float64).reshape(-1, len(labels))
        probabilities = calibration.label_probabilities(table)
        positions = np.array(gold, dtype=np.int64)
        return cls(
            probabilities=probabilities,
            # The sum in a softmax rounds by the order of its labels; equal confidences must stay equal, to share a bin.
            confidences=probabilities.max(axis=-1).round(_DECIMALS),
            hits=(table.argmax(axis=-1) == positions).astype(np.float64),
            gold=positions,
            clusters=np.unique(np.array(clusters, dtype=np.str_), return_inverse=True)[1].astype(np.int64),
        )


def calibration_estimates(forecasts: Forecasts) -> Mapping[str, Estimate]:
    """ECE and Brier score with intervals over resampled clusters; in every resample the bins of ECE are made anew."""
    bootstrap = ItemBootstrap(forecasts.clusters)
    error = partial(calibration.expected_calibration_error, forecasts.confidences, forecasts.hits)
    score = partial(calibration.brier_score, forecasts.probabilities, forecasts.gold)
    return {
        "ece": bootstrap.estimate(error, interval_of_inflated),
        "brier": bounded_at_edges(bootstrap.estimate(score, high=2.0), high=2.0),
    }


def forecast_values(answer: Answer, output: LabelOutput) -> Mapping[str, float]:
    """Confidence and Brier score of one answer; nothing where labels are generated, or this one cannot be ranked."""
    if output.method != "rank":
        return {}
    one = Forecasts.of([answer], output.labels, output.rank_by)
    if not len(one.gold):
        return {}
    error = calibration.brier_score(one.probabilities, one.gold)
    return {"confidence": float(one.confidences[0]), "brier": float(error)}


def ranking_details(answers: Sequence[Answer], output: LabelOutput) -> Mapping[str, Any]:
    """The score that decided, accuracy by each of the others, and confidence against accuracy by bin. JSON-ready."""
    by_way = {way: Forecasts.of(answers, output.labels, way) for way in get_args(RankBy)}
    decided = by_way[output.rank_by]
    bins = calibration.reliability_bins(decided.confidences, decided.hits)
    return {
        "decided_by": output.rank_by,
        "accuracy_by": {
            way: {"accuracy": _mean_or_null(forecasts.hits), "n": len(forecasts.hits)}
            for way, forecasts in by_way.items()
        },
        "mean_confidence": _mean_or_null(decided.confidences),
        "reliability": [asdict(one) for one in bins],
    }


def _mean_or_null(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


class UnderstandingScorer:
    """Accuracy, macro F1, balanced accuracy and calibration over user turns; errors are not scored.

    Invalid answers are wrong. ECE and Brier score are of the answers that rank the labels (their `n`), and undefined
    where answers are generated.
    """

    metrics = BUILT_IN["understanding"]

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        assert isinstance(task.output, LabelOutput)
        output = task.output
        lines = tuple(_line(answer, output) for answer in answers)
        tally = Tally.of(lines)
        counts = by_cluster(lines, lambda group: confusion_counts(group, output.labels))
        # A label that only unscored items have occurs all the same.
        total = confusion_counts(lines, output.labels)
        bootstrap = ClusterBootstrap(counts)
        metrics = {
            metric.name: tally.metric(
                accuracy_estimate(counts.reshape(-1, *total.shape))
                if metric.verdict is not None
                else _score_estimate(metric, bootstrap, total)
            )
            for metric in self.metrics
            if metric.counts is not None
        }
        details = _details(counts.sum(axis=0).reshape(total.shape), output, total) | parsing_details(lines, output)
        if output.method == "rank":
            details["ranking"] = ranking_details(answers, output)
        return TaskScores({**metrics, **_calibration(answers, output, tally)}, lines, details)


def _score_estimate(metric: Metric, bootstrap: ClusterBootstrap, total: Floats) -> Estimate:
    statistic = metric.of_sample(total)
    if (metric.low, metric.high) == (0.0, 1.0):
        return score_estimate(bootstrap, statistic)
    # What bounds a score where every answer is right holds in [0, 1] alone.
    return bootstrap.estimate(statistic, interval_of_biased, metric.low, metric.high)


def _calibration(answers: Sequence[Answer], output: LabelOutput, tally: Tally) -> Mapping[str, MetricValue]:
    if output.method == "generate":
        undefined = replace(tally, n=0).metric(Estimate(None, None, None))
        return {metric.name: undefined for metric in UnderstandingScorer.metrics if metric.needs_ranking}
    forecasts = Forecasts.of(answers, output.labels, output.rank_by)
    ranked = replace(tally, n=len(forecasts.gold))
    return {name: ranked.metric(estimate) for name, estimate in calibration_estimates(forecasts).items()}


def _line(answer: Answer, output: LabelOutput) -> ScoreLine:
    if (response := answer.scorable) is None:
        return ScoreLine.unscored(answer)
    parsed = read_answer(response, output)
    verdict = "right" if parsed.label == answer.item.gold else "wrong"
    return ScoreLine.of(answer, parsed.label, verdict, parsed.why, forecast_values(answer, output))


def _details(counts: Floats, output: LabelOutput, total: Floats) -> dict[str, object]:
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
        "labels_without_gold": [label for label, n in zip(output.labels, total.sum(axis=-1), strict=True) if not n],
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


def compare_streams(
    both: Sequence[ScoreLine], audio: Sequence[ScoreLine], video: Sequence[ScoreLine]
) -> tuple[MetricValue, MetricValue, MetricValue]:
    """Compare the answers under full_av, audio_only and video_only; all intervals are paired ones over dialogues.

    Returns:
        ``Acc_AV - max(Acc_A, Acc_V)``, ``Acc_AV - Acc_A`` and ``Acc_AV - Acc_V``, in [-1, 1], over the turns scored
        under all three; the first is the smaller of the others.
    """
    verdicts = [
        {line.item: line for line in lines if line.verdict in ("right", "wrong")} for lines in (both, audio, video)
    ]
    shared = sorted(set(verdicts[0]) & set(verdicts[1]) & set(verdicts[2]))
    clusters: dict[str, Floats] = {}
    for item_id in shared:
        lines = [by_item[item_id] for by_item in verdicts]
        counts = clusters.setdefault(lines[0].cluster, np.zeros(4))
        counts += [1.0, *(float(line.verdict == "right") for line in lines)]
    table = np.stack([clusters[name] for name in sorted(clusters)]) if clusters else np.zeros((0, 4))
    invalid = sum(verdicts[0][item_id].label is None for item_id in shared)
    errors = sum(line.verdict == "error" for lines in (both, audio, video) for line in lines)

    gain, over_audio, over_video = (
        metric_value(estimate, len(shared), invalid, errors) for estimate in fusion_estimates(table)
    )
    return gain, over_audio, over_video


def fusion_estimates(counts: Floats) -> tuple[Estimate, Estimate, Estimate]:
    """The gain over the larger of two accuracies, and the differences from either.

    Args:
        counts: items, and how many are right with both streams, with sound, with the picture, of each cluster: (D, 4).
    """
    both = counts[:, [0, 1]]
    return (
        around_zero(ClusterBootstrap(counts).estimate(_gain, interval_of_gain, low=-1.0)),
        difference(counts[:, [0, 2]], both, _accuracy),
        difference(counts[:, [0, 3]], both, _accuracy),
    )


def _gain(sums: Floats) -> Floats:
    gain: Floats = (sums[:, 1] - np.maximum(sums[:, 2], sums[:, 3])) / sums[:, 0]
    return gain


def _accuracy(sums: Floats) -> Floats:
    accuracy: Floats = sums[:, 1] / sums[:, 0]
    return accuracy
