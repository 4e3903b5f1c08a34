"""Confidence intervals by bootstrap over clusters.

The resampled unit is the cluster (a dialogue), since turns of one dialogue are not independent. Below 20 clusters the
percentile interval is too narrow (it covers about 0.92 of a nominal 0.95 at 10 clusters) and is widened.

`ClusterBootstrap` is for statistics of summed counts; `ItemBootstrap` for those that need every item anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
SEED = 20_251_007
FEW_CLUSTERS = 20
_CELLS_A_BLOCK = 2**18

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Summed counts (B, K), or weights of items (B, N) -> the statistic of each row, shape (B,), NaN where undefined."""

Interval = Callable[[float, Floats], tuple[float, float]]
"""The statistic's value and its values in resamples -> the ends of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval; None where undefined."""

    value: float | None
    ci_low: float | None
    ci_high: float | None


def percentile_interval(value: float, drawn: Floats) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of the resamples in which the statistic is defined."""
    del value
    low, high = np.quantile(drawn[~np.isnan(drawn)], (0.025, 0.975))
    return float(low), float(high)


def interval_of_inflated(value: float, drawn: Floats) -> tuple[float, float]:
    """Interval of a mean of absolute differences, which noise raises: most so where the differences are none but noise.

    A resample adds its own noise to that of the data, so that percentiles lie above the value, and the value above the
    truth: they never hold a difference of 0. The noise of the two together is the square root of 2 of either, so where
    there is nothing else, the value lies ``1 / (sqrt(2) - 1)`` times as far above the truth as resamples lie above it.
    The lower end assumes that; the upper end assumes no inflation. Both mirror the spread of the resamples.
    """
    mean = float(drawn.mean())
    low, high = (float(quantile) for quantile in np.quantile(drawn, (0.025, 0.975)))
    inflation = max(0.0, mean - value) / (math.sqrt(2) - 1)
    return value - inflation - (high - mean), value + (mean - low)


class ClusterBootstrap:
    """Resamples of clusters, drawn once for any number of statistics of the same counts.

    Args:
        counts: shape (D, K), the counts of each of D clusters.

    >>> hits_and_items = np.array([[1.0, 1.0], [1.0, 1.0]])
    >>> ClusterBootstrap(hits_and_items).estimate(lambda sums: sums[:, 0] / sums[:, 1])
    Estimate(value=1.0, ci_low=1.0, ci_high=1.0)
    """

    def __init__(self, counts: Floats) -> None:
        self._counts = counts

    def estimate(self, statistic: Statistic, low: float = 0.0, high: float = 1.0) -> Estimate:
        """Estimate a statistic of the summed counts, with a percentile interval over resampled clusters.

        Args:
            statistic: computed from the K sums, for many resamples at once.
            low, high: the statistic's range, to which a widened interval is cut.

        Returns:
            The value over all clusters; no interval with one cluster, nothing at all with none.
        """
        if len(self._counts) == 0:
            return Estimate(None, None, None)
        value = float(statistic(self._counts.sum(axis=0, keepdims=True))[0])
        if math.isnan(value):
            return Estimate(None, None, None)
        if len(self._counts) == 1:
            return Estimate(value, None, None)
        ends = percentile_interval(value, statistic(self._resampled_sums))
        return _widened(value, ends, len(self._counts), low, high)

    @cached_property
    def _resampled_sums(self) -> Floats:
        """The K sums of each resample, shape (RESAMPLES, K)."""
        return np.concatenate([weights @ self._counts for weights in _cluster_weights(len(self._counts))])


class ItemBootstrap:
    """Resamples of clusters for statistics that sums of counts do not give, such as those that sort their items.

    Args:
        clusters: the number of each item's cluster, shape (N,), every one of [0, D) occurring.

    >>> right = np.array([1.0, 1.0, 1.0])
    >>> ItemBootstrap(np.array([0, 0, 1])).estimate(lambda weights: weights @ right / weights.sum(axis=-1))
    Estimate(value=1.0, ci_low=1.0, ci_high=1.0)
    """

    def __init__(self, clusters: NDArray[np.int64]) -> None:
        self._clusters = clusters

    def estimate(
        self, statistic: Statistic, interval: Interval = percentile_interval, low: float = 0.0, high: float = 1.0
    ) -> Estimate:
        """Estimate a statistic of weighted items: an item's weight is how often its cluster was drawn.

        Args:
            statistic: computed from weights (B, N), for many resamples at once.
            interval: how the resamples become one.
            low, high: the statistic's range, to which an interval is cut.

        Returns:
            As `ClusterBootstrap.estimate` does.
        """
        if len(self._clusters) == 0:
            return Estimate(None, None, None)
        value = float(statistic(np.ones((1, len(self._clusters))))[0])
        if math.isnan(value):
            return Estimate(None, None, None)
        number = int(self._clusters.max()) + 1
        if number == 1:
            return Estimate(value, None, None)
        drawn = [statistic(weights[:, self._clusters]) for weights in _cluster_weights(number)]
        ends = interval(value, np.concatenate(drawn))
        return _widened(value, ends, number, low, high)


def _cluster_weights(clusters: int) -> Iterator[Floats]:
    """How often each resample draws each cluster: shapes (B, clusters), RESAMPLES rows in blocks of bounded size."""
    rng = np.random.default_rng(SEED)
    block = max(1, min(RESAMPLES, _CELLS_A_BLOCK // clusters))
    chances = np.full(clusters, 1.0 / clusters)
    for start in range(0, RESAMPLES, block):
        yield rng.multinomial(clusters, chances, size=min(block, RESAMPLES - start)).astype(np.float64)


def _widened(value: float, ends: tuple[float, float], clusters: int, low: float, high: float) -> Estimate:
    """The interval widened for few clusters, within the statistic's range, and holding the value."""
    factor = widening(clusters)
    ci_low = max(low, value - (value - ends[0]) * factor)
    ci_high = min(high, value + (ends[1] - value) * factor)
    return Estimate(value, min(ci_low, value), max(ci_high, value))


def widening(clusters: int) -> float:
    """Factor on the half-widths below 20 clusters: ``t(.975, D - 1) / 1.96 * sqrt(D / (D - 1))``.

    >>> round(widening(10), 3), widening(20)
    (1.217, 1.0)
    """
    if clusters >= FEW_CLUSTERS:
        return 1.0
    from scipy.special import stdtrit

    return float(stdtrit(clusters - 1, 0.975)) / 1.96 * math.sqrt(clusters / (clusters - 1))
