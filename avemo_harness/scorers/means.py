"""Means of per-unit scores with intervals over resampled clusters, undefined units counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import ClusterBootstrap, Statistic
from avemo_harness.metrics.trivial_replies import anchored
from avemo_harness.scorers.base import Metric

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A score of every unit: turns or dialogues.

    Args:
        values: float64 (N,); NaN where undefined.
        clusters: what each unit is resampled with.
        shuffled: the units' scores with the replies of others; where given, the mean is anchored at their mean.
    """

    values: Floats
    clusters: Sequence[str]
    shuffled: Floats | None = None

    @property
    def defined(self) -> NDArray[np.bool_]:
        known = ~np.isnan(self.values)
        return known if self.shuffled is None else known & ~np.isnan(self.shuffled)

    @property
    def mean(self) -> float | None:
        """The plain mean of what is defined."""
        return float(self.values[self.defined].mean()) if self.defined.any() else None


def mean_metrics(columns: Mapping[str, Column], n_errors: int) -> dict[str, Metric]:
    """The mean of each column over its defined units, with its interval; all resample the same clusters."""
    names = sorted({cluster for column in columns.values() for cluster in column.clusters})
    place = {name: i for i, name in enumerate(names)}
    blocks = [_sums(column, place) for column in columns.values()]
    bootstrap = ClusterBootstrap(np.concatenate(blocks, axis=1) if blocks else np.zeros((0, 0)))
    metrics = {}
    for position, (name, column) in enumerate(columns.items()):
        is_anchored = column.shuffled is not None
        low = -np.inf if is_anchored else 0.0
        estimate = bootstrap.estimate(_anchored_mean(position) if is_anchored else _mean(position), low=low)
        n = int(column.defined.sum())
        metrics[name] = Metric(
            estimate.value, estimate.ci_low, estimate.ci_high, n, 0, n_errors, len(column.values) - n
        )
    return metrics


def _sums(column: Column, place: Mapping[str, int]) -> Floats:
    """Number, sum, and sum of the shuffled scores of the defined units of each cluster, shape (D, 3)."""
    defined = column.defined
    rows = np.array([place[cluster] for cluster in column.clusters], dtype=np.intp)[defined]
    shuffled = np.zeros(len(column.values)) if column.shuffled is None else column.shuffled
    parts = [None, column.values[defined], shuffled[defined]]
    return np.stack([np.bincount(rows, weights=part, minlength=len(place)) for part in parts], axis=1).astype(float)


def _mean(position: int) -> Statistic:
    return lambda sums: sums[:, 3 * position + 1] / _or_nan(sums[:, 3 * position])


def _anchored_mean(position: int) -> Statistic:
    def statistic(sums: Floats) -> Floats:
        n = _or_nan(sums[:, 3 * position])
        return anchored(sums[:, 3 * position + 1] / n, sums[:, 3 * position + 2] / n)

    return statistic


def _or_nan(counts: Floats) -> Floats:
    return np.where(counts > 0, counts, np.nan)
