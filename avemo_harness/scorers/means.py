"""Means of per-unit scores with intervals over resampled clusters, undefined units counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import ClusterBootstrap, Estimate, Statistic, bounded_at_edges
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.metrics.trivial_replies import anchored
from avemo_harness.scorers.base import Metric, metric_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A score of every unit: turns or dialogues.

    Args:
        values: in [0, 1], float64 (N,); NaN where undefined.
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

    @property
    def is_share(self) -> bool:
        """All defined values are 0 or 1, and the mean is not anchored."""
        return self.shuffled is None and bool(np.isin(self.values[self.defined], (0.0, 1.0)).all())


def mean_metrics(columns: Mapping[str, Column], n_errors: int) -> dict[str, Metric]:
    """The mean of each column over its defined units, with an interval over the clusters that hold any of them.

    Columns that are defined in the same clusters share their resamples. A mean of nothing but zeros and ones has the
    interval of a share.
    """
    names = sorted({cluster for column in columns.values() for cluster in column.clusters})
    place = {name: i for i, name in enumerate(names)}
    sums = {name: _sums(column, place) for name, column in columns.items()}
    alike: dict[bytes, list[str]] = {}
    for name, table in sums.items():
        alike.setdefault((table[:, 0] > 0).tobytes(), []).append(name)
    estimates: dict[str, Estimate] = {}
    for group in alike.values():
        bootstrap = ClusterBootstrap(np.concatenate([sums[name] for name in group], axis=1))
        for position, name in enumerate(group):
            estimates[name] = _estimate(columns[name], sums[name], bootstrap, position)
    metrics = {}
    for name, column in columns.items():
        n = int(column.defined.sum())
        metrics[name] = metric_of(estimates[name], n, 0, n_errors, len(column.values) - n)
    return metrics


def _estimate(column: Column, sums: Floats, bootstrap: ClusterBootstrap, position: int) -> Estimate:
    """The mean of the column whose sums are at a position of the bootstrap's."""
    if column.is_share:
        return share_estimate(sums[:, 1], sums[:, 0])
    if column.shuffled is not None:
        return bootstrap.estimate(_anchored_mean(position), low=-np.inf)
    return bounded_at_edges(bootstrap.estimate(_mean(position)))


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
