"""Two sides on the same items by a statistic that sums of counts do not give, such as one that sorts its items.

A statistic is of weighted items: weights of shape (..., N) give values of the leading axes, as those of
`avemo_harness.metrics.calibration`. Whatever is resampled or swapped is a whole cluster (a dialogue), on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import Estimate, ItemBootstrap, Statistic
from avemo_harness.metrics.paired import CELLS_A_BLOCK, TIES, around_zero, cluster_swaps

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def difference_of_inflated(first: Statistic, second: Statistic, clusters: Integers) -> Estimate:
    """The second statistic less the first, both means of absolute differences, which noise raises; in [-1, 1].

    Noise raises either side by up to its own inflation (`avemo_harness.metrics.bootstrap.interval_of_inflated`), and
    by nothing where the side is far from 0. The lower end takes all of the second's inflation away and none of the
    first's, the upper end the reverse; both mirror the spread of the resamples. Where one side is calibrated and the
    other is not, percentiles held the true difference in 0.34 to 0.72 of samples of 20 to 400 items, and this interval
    in 0.93 to 0.96.

    Args:
        first, second: of weights (B, N), for the same items.
        clusters: the number of each item's cluster, shape (N,), every one of [0, D) occurring.
    """
    bootstrap = ItemBootstrap(clusters)
    of_first, of_second = _inflation(first, bootstrap), _inflation(second, bootstrap)

    def interval(value: float, drawn: Floats) -> tuple[float, float]:
        mean = float(drawn.mean())
        low, high = (float(quantile) for quantile in np.quantile(drawn, (0.025, 0.975)))
        return value - of_second - (high - mean), value + of_first + (mean - low)

    return around_zero(bootstrap.estimate(lambda weights: second(weights) - first(weights), interval, low=-1.0))


def _inflation(statistic: Statistic, bootstrap: ItemBootstrap) -> float:
    """Most by which noise may have raised a statistic: resamples lie above it by ``sqrt(2) - 1`` of that."""
    found = [0.0]

    def keep(value: float, drawn: Floats) -> tuple[float, float]:
        found[0] = max(0.0, float(drawn.mean()) - value) / (math.sqrt(2) - 1)
        return value, value

    bootstrap.estimate(statistic, keep)
    return found[0]


def swap_test_of_items(statistic: Statistic, clusters: Integers) -> float | None:
    """Two-sided p-value of no difference, as `avemo_harness.metrics.paired.swap_test` for statistics of items.

    Args:
        statistic: of weights (B, 2 N) over the items of the first side and, in the same order, those of the second.
        clusters: the number of each item's cluster, shape (N,), every one of [0, D) occurring.

    Returns:
        None where there is nothing to test: one cluster, or a statistic without a value.

    >>> right = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    >>> swap_test_of_items(lambda weights: weights @ right / weights.sum(axis=-1), np.array([0, 1, 2]))
    0.25
    """
    count = int(clusters.max()) + 1 if len(clusters) else 0
    if count < 2:
        return None
    observed: float | None = None
    alike = tried = 0
    for swaps in _of_items(cluster_swaps(count), clusters):
        sides = np.concatenate([1 - swaps, swaps], axis=1)
        apart = statistic(1 - sides) - statistic(sides)
        if observed is None:
            observed = float(apart[0])
            if math.isnan(observed):
                return None
        apart = apart[~np.isnan(apart)]
        alike += int((np.abs(apart) >= abs(observed) - TIES).sum())
        tried += len(apart)
    return alike / tried


def _of_items(swaps: Iterator[Floats], clusters: Integers) -> Iterator[Floats]:
    """Swaps of clusters as swaps of their items, shapes (B, N), in blocks of bounded size."""
    rows = max(1, CELLS_A_BLOCK // len(clusters))
    for block in swaps:
        for start in range(0, len(block), rows):
            yield block[start : start + rows, clusters]
