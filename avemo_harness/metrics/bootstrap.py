"""Confidence intervals by bootstrap over clusters.

The resampled unit is the cluster (a dialogue), since turns of one dialogue are not independent. Percentile intervals
are too narrow for the number of clusters that they rest on, and are widened by Student's t at every number. What did
not vary cannot be resampled: where a mean is 0 or 1 in every cluster, or a difference 0, an exact bound stands instead.

`ClusterBootstrap` is for statistics of summed counts; `ItemBootstrap` for those that need every item anew. Shares of
items have an interval of their own, in `avemo_harness.metrics.shares`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
SEED = 20_251_007
FEWEST_CLUSTERS = 5
"""Fewer have no interval."""

TOO_FEW = "too few dialogues"
APPROXIMATE = "approximate"
CONSTANT = "the same in every dialogue"
"""Notes of an estimate: no interval for want of clusters, a bound that is not exact, nothing that varies."""

_LEVEL = 0.05
_CELLS_A_BLOCK = 2**18
_CACHED_CLUSTERS = 512
_ROUNDING = 1e-9

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Summed counts (B, K), or weights of items (B, N) -> the statistic of each row, shape (B,), NaN where undefined."""

Interval = Callable[[float, Floats], tuple[float, float]]
"""The statistic's value and its values in resamples -> the ends of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval; None where undefined.

    Args:
        n_clusters: clusters in which the statistic has a value, the D that the interval rests on; 0 without a value.
        note: `TOO_FEW`, `APPROXIMATE` or `CONSTANT`; None where nothing qualifies the interval.
    """

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n_clusters: int = 0
    note: str | None = None


def percentile_interval(value: float, drawn: Floats) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of the resamples."""
    del value
    low, high = np.quantile(drawn, (_LEVEL / 2, 1 - _LEVEL / 2))
    return float(low), float(high)


def interval_of_inflated(value: float, drawn: Floats) -> tuple[float, float]:
    """Interval of a mean of absolute differences, which noise raises: most so where the differences are none but noise.

    A resample adds its own noise to that of the data, so that percentiles lie above the value, and the value above the
    truth: they never hold a difference of 0. The noise of the two together is the square root of 2 of either, so where
    there is nothing else, the value lies ``1 / (sqrt(2) - 1)`` times as far above the truth as resamples lie above it.
    The lower end assumes that; the upper end assumes no inflation. Both mirror the spread of the resamples.
    """
    mean = float(drawn.mean())
    low, high = percentile_interval(value, drawn)
    inflation = max(0.0, mean - value) / (math.sqrt(2) - 1)
    return value - inflation - (high - mean), value + (mean - low)


def interval_of_gain(value: float, drawn: Floats) -> tuple[float, float]:
    """Interval of a gain over the larger of two, which noise lowers: most so where the two are equal.

    The larger of two noisy shares is too large, the gain over it too small, and smaller again in resamples. The upper
    end undoes that as `interval_of_inflated` does; the lower end assumes that there is nothing to undo. The spread of
    the resamples is not mirrored, since it is as skewed as that of the value.
    """
    mean = float(drawn.mean())
    low, high = percentile_interval(value, drawn)
    bias = min(0.0, mean - value)
    return value - (mean - low), value - bias / (math.sqrt(2) - 1) + (high - mean)


def interval_of_biased(value: float, drawn: Floats) -> tuple[float, float]:
    """Percentile interval, longer by twice the bias of the resamples on the side that the bias leads away from.

    Scores that are no sums, such as macro F1, are biased in few clusters, and as much again in resamples of these.
    """
    low, high = percentile_interval(value, drawn)
    bias = float(drawn.mean()) - value
    return low - max(0.0, 2 * bias), high - min(0.0, 2 * bias)


def edge_bound(clusters: int) -> float:
    """The lower end for a mean in [0, 1] that is 1 in each of D clusters: ``(0.05 / 2) ** (1 / D)``.

    The end of the exact interval (Clopper and Pearson 1934) for D hits of D. It holds for any values in [0, 1], since
    their mean is at least the chance of a 1.

    >>> round(edge_bound(40), 3), round(1 - edge_bound(5), 3)
    (0.912, 0.522)
    """
    return float((_LEVEL / 2) ** (1 / clusters))


def bounded_at_edges(estimate: Estimate, low: float = 0.0, high: float = 1.0, note: str | None = None) -> Estimate:
    """Give an estimate that is at an end of its range in every cluster the interval of `edge_bound`.

    Args:
        low, high: the range.
        note: of that interval.

    Returns:
        Any other estimate as it is.
    """
    if estimate.note != CONSTANT or estimate.value is None:
        return estimate
    reach = (high - low) * (1 - edge_bound(estimate.n_clusters))
    if abs(estimate.value - high) < _ROUNDING:
        return replace(estimate, ci_low=min(estimate.value, high - reach), ci_high=high, note=note)
    if abs(estimate.value - low) < _ROUNDING:
        return replace(estimate, ci_low=low, ci_high=max(estimate.value, low + reach), note=note)
    return estimate


def resampled_estimate(
    value: float,
    drawn: Floats,
    clusters: int,
    interval: Interval = percentile_interval,
    low: float = 0.0,
    high: float = 1.0,
) -> Estimate:
    """A value with the interval of its resamples: widened, within the range, and holding the value.

    Args:
        value: NaN where undefined.
        drawn: the statistic of each resample, NaN where undefined; not looked at for fewer than 5 clusters.
        clusters: how many the statistic has a value in, D.
        interval: how the resamples become one.
        low, high: the statistic's range.

    Returns:
        No interval for few clusters (`TOO_FEW`), nor where 95 of 100 resamples are alike (`CONSTANT`).
    """
    if math.isnan(value):
        return Estimate(None, None, None)
    if clusters < FEWEST_CLUSTERS:
        return Estimate(value, None, None, clusters, TOO_FEW)
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn) or np.subtract(*percentile_interval(value, drawn)) > -_ROUNDING:
        return Estimate(value, None, None, clusters, CONSTANT)
    ends = interval(value, drawn)
    factor = widening(clusters)
    ci_low = max(low, value - (value - ends[0]) * factor)
    ci_high = min(high, value + (ends[1] - value) * factor)
    return Estimate(value, min(ci_low, value), max(ci_high, value), clusters)


def widening(clusters: float) -> float:
    """Factor on the half-widths, for the variance of few clusters: ``t(.975, D - 1) / 1.96 * sqrt(D / (D - 1))``.

    >>> round(widening(5), 3), round(widening(20), 3), round(widening(400), 3)
    (1.584, 1.096, 1.004)
    """
    return t_quantile(clusters) / 1.96 * math.sqrt(clusters / (clusters - 1))


@lru_cache(maxsize=1024)
def t_quantile(clusters: float) -> float:
    """The 97.5 % quantile of Student's t with D - 1 degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(clusters - 1, 1 - _LEVEL / 2))


class ClusterBootstrap:
    """Resamples of clusters, drawn once for any number of statistics of the same counts.

    Args:
        counts: shape (D, K), the counts of each cluster. Clusters whose counts are all 0 have no value: they are never
            drawn and do not count.

    >>> hits_and_items = np.array([[1.0, 2.0]] * 3 + [[2.0, 2.0]] * 3)
    >>> ClusterBootstrap(hits_and_items).estimate(lambda sums: sums[:, 0] / sums[:, 1]).n_clusters
    6
    """

    def __init__(self, counts: Floats) -> None:
        self._counts = counts[counts.any(axis=1)]

    def estimate(
        self, statistic: Statistic, interval: Interval = percentile_interval, low: float = 0.0, high: float = 1.0
    ) -> Estimate:
        """Estimate a statistic of the summed counts, with an interval over resampled clusters.

        Args:
            statistic: computed from the K sums, for many resamples at once.
            interval, low, high: as of `resampled_estimate`, which says what is returned.
        """
        number = len(self._counts)
        if number == 0:
            return Estimate(None, None, None)
        value = float(statistic(self._counts.sum(axis=0, keepdims=True))[0])
        enough = number >= FEWEST_CLUSTERS and not math.isnan(value)
        drawn = statistic(self._resampled_sums) if enough else np.empty(0)
        return resampled_estimate(value, drawn, number, interval, low, high)

    @cached_property
    def _resampled_sums(self) -> Floats:
        """The K sums of each resample, shape (RESAMPLES, K)."""
        return np.concatenate([weights @ self._counts for weights in _cluster_weights(len(self._counts))])


class ItemBootstrap:
    """Resamples of clusters for statistics that sums of counts do not give, such as those that sort their items.

    Args:
        clusters: the number of each item's cluster, shape (N,), every one of [0, D) occurring.

    >>> right = np.array([1.0, 1.0, 1.0])
    >>> ItemBootstrap(np.array([0, 0, 1])).estimate(lambda weights: weights @ right / weights.sum(axis=-1)).note
    'too few dialogues'
    """

    def __init__(self, clusters: NDArray[np.int64]) -> None:
        self._clusters = clusters

    def estimate(
        self, statistic: Statistic, interval: Interval = percentile_interval, low: float = 0.0, high: float = 1.0
    ) -> Estimate:
        """Estimate a statistic of weighted items: an item's weight is how often its cluster was drawn.

        Args:
            statistic: computed from weights (B, N), for many resamples at once.
            interval, low, high: as of `resampled_estimate`, which says what is returned.
        """
        if len(self._clusters) == 0:
            return Estimate(None, None, None)
        value = float(statistic(np.ones((1, len(self._clusters))))[0])
        number = int(self._clusters.max()) + 1
        enough = number >= FEWEST_CLUSTERS and not math.isnan(value)
        drawn = [statistic(weights[:, self._clusters]) for weights in _cluster_weights(number)] if enough else []
        return resampled_estimate(value, np.concatenate([np.empty(0), *drawn]), number, interval, low, high)


def _cluster_weights(clusters: int) -> Iterator[Floats]:
    """Draws of each cluster by each resample: shapes (B, clusters), RESAMPLES rows in blocks of bounded size."""
    block = max(1, min(RESAMPLES, _CELLS_A_BLOCK // clusters))
    starts = range(0, RESAMPLES, block)
    if clusters <= _CACHED_CLUSTERS:
        weights = drawn_weights(clusters)
        yield from (weights[start : start + block] for start in starts)
    else:
        rng = np.random.default_rng(SEED)
        yield from (_multinomial(rng, clusters, min(block, RESAMPLES - start)) for start in starts)


@lru_cache(maxsize=4)
def drawn_weights(clusters: int, stream: int | None = None) -> Floats:
    """Draws of each cluster by each resample, shape (RESAMPLES, clusters), read-only.

    Args:
        stream: resamples of one stream are drawn apart from those of any other.
    """
    rng = np.random.default_rng(SEED if stream is None else [SEED, stream])
    weights = _multinomial(rng, clusters, RESAMPLES)
    weights.flags.writeable = False
    return weights


def _multinomial(rng: np.random.Generator, clusters: int, resamples: int) -> Floats:
    return rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples).astype(np.float64)
