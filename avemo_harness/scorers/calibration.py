"""How sure ranked answers are, and whether they may be: calibration and the ways of ranking side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.task import LabelOutput, RankBy
from avemo_harness.metrics import calibration
from avemo_harness.metrics.bootstrap import Estimate, ItemBootstrap, bounded_at_edges, interval_of_inflated
from avemo_harness.scorers.base import Answer
from avemo_harness.scorers.ranking import RankingError, label_scores

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
            if answer.scorable and answer.item.gold is not None:
                try:
                    scores.append(label_scores(answer, labels, rank_by))
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
    """Which score decided, what the others would have given, and confidence against accuracy bin by bin. JSON-ready."""
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
