"""Two answers to the same questions: differences with intervals, tests, and what could have been detected.

Counts have shape (D, K): the counts of each of D clusters (dialogues), of either side. Whatever is resampled or
swapped is a whole cluster, on both sides at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import CONSTANT, SEED, ClusterBootstrap, Estimate, Statistic, edge_bound

Floats = NDArray[np.float64]

SWAPS = 10_000
"""Random swaps that a p-value is taken from where there are too many to try them all."""

MOST_TO_TRY = 13
"""Clusters that differ, up to which every swap is tried: 2**13 are fewer than `SWAPS`."""

POWER = 0.8
TIES = 1e-9
"""Differences nearer than this are equal: sums in another order round otherwise."""
CELLS_A_BLOCK = 2**20


def difference(first: Floats, second: Floats, statistic: Statistic, span: float = 1.0) -> Estimate:
    """The statistic of the second side less that of the first, with an interval over resampled clusters.

    Args:
        first, second: shape (D, K), of the same clusters; those in which a side has no counts are left out.
        statistic: of the K summed counts of one side, for many resamples at once.
        span: how far apart two values of the statistic can be, to which a widened interval is cut.

    Returns:
        As `ClusterBootstrap.estimate` does; around a difference of 0 in every cluster, `around_zero`.

    >>> hits_and_items = np.array([[0.0, 1.0], [1.0, 1.0]] * 20)
    >>> same = difference(hits_and_items, hits_and_items, lambda sums: sums[:, 0] / sums[:, 1])
    >>> same.value, round(same.ci_low, 3), round(same.ci_high, 3)
    (0.0, -0.088, 0.088)
    """
    width = first.shape[1]
    on_both = first.any(axis=1) & second.any(axis=1)

    def of_both(sums: Floats) -> Floats:
        apart: Floats = statistic(sums[:, width:]) - statistic(sums[:, :width])
        return apart

    counts = np.concatenate([first, second], axis=1)[on_both]
    return around_zero(ClusterBootstrap(counts).estimate(of_both, low=-span, high=span), span)


def around_zero(estimate: Estimate, span: float = 1.0) -> Estimate:
    """Give a difference that is 0 in every cluster the interval ``± span * (1 - edge_bound(D))``.

    Where more than that share of all clusters differed, one of those seen would have, in 97.5 of 100 cases.

    Args:
        span: how far apart two values can be; infinite for a statistic without bounds, of which nothing can be said.

    Returns:
        Any other estimate as it is. The note `CONSTANT` stays: nothing varied.
    """
    if estimate.note != CONSTANT or not math.isfinite(span) or estimate.value is None or abs(estimate.value) > TIES:
        return estimate
    reach = span * (1 - edge_bound(estimate.n_clusters))
    return replace(estimate, ci_low=-reach, ci_high=reach)


def swap_test(first: Floats, second: Floats, statistic: Statistic) -> float | None:
    """Two-sided p-value of no difference: the sides of a cluster might as well be the other way round.

    For a statistic that is linear in the counts this is the sign-flip test of the clusters' differences. Every swap is
    tried where few clusters differ, else `SWAPS` random ones, the observed one among them.

    Args:
        first, second, statistic: as of `difference`.

    Returns:
        None where there is nothing to test: one cluster, or a statistic without a value.

    >>> right, wrong = np.array([[1.0, 1.0]] * 5), np.array([[0.0, 1.0]] * 5)
    >>> swap_test(wrong, right, lambda sums: sums[:, 0] / sums[:, 1])
    0.0625
    """
    if len(first) < 2:
        return None
    totals = first.sum(axis=0), second.sum(axis=0)
    observed = float((statistic(totals[1][None]) - statistic(totals[0][None]))[0])
    if math.isnan(observed):
        return None
    moved = (second - first)[(first != second).any(axis=1)]
    alike = 0
    tried = 0
    for swaps in cluster_swaps(len(moved)):
        shift = swaps @ moved
        drawn = statistic(totals[1] - shift) - statistic(totals[0] + shift)
        drawn = drawn[~np.isnan(drawn)]
        alike += int((np.abs(drawn) >= abs(observed) - TIES).sum())
        tried += len(drawn)
    return alike / tried


def cluster_swaps(clusters: int) -> Iterator[Floats]:
    """Swaps of clusters, in blocks of shapes (B, clusters) of 0 and 1; the first swaps none."""
    if clusters <= MOST_TO_TRY:
        yield ((np.arange(2**clusters)[:, None] >> np.arange(clusters)) & 1).astype(np.float64)
        return
    rng = np.random.default_rng(SEED)
    block = max(1, CELLS_A_BLOCK // clusters)
    yield np.zeros((1, clusters))
    for start in range(1, SWAPS, block):
        yield rng.integers(0, 2, size=(min(block, SWAPS - start), clusters)).astype(np.float64)


def mcnemar_test(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value of McNemar's test (1947) on items that one side alone got right.

    Items must not share clusters; elsewhere `swap_test` is the test.

    >>> mcnemar_test(0, 5), mcnemar_test(0, 0)
    (0.0625, 1.0)
    """
    if only_first + only_second == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_first, only_first + only_second).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, so that the chance of any false alarm keeps its bound (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def detectable_difference(estimate: Estimate) -> float | None:
    """The smallest true difference that data with this spread show at the 5 % level in 80 of 100 cases.

    From the interval's mean half-width h, which is 1.96 standard errors: ``h * (1.96 + 0.84) / 1.96``. None where
    there is no interval, or no spread to tell one from.
    """
    if estimate.ci_low is None or estimate.ci_high is None or estimate.ci_low == estimate.ci_high:
        return None
    if estimate.note == CONSTANT:
        return None
    from scipy.special import ndtri

    half = (estimate.ci_high - estimate.ci_low) / 2
    level = float(ndtri(0.975))
    return half * (level + float(ndtri(POWER))) / level
