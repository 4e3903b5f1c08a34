"""Ratings at any times, as two values a second from the beginning of the recording."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.trajectory import step_times
from avemo_harness.recognizers.extractors.base import RATE_HZ

Floats = NDArray[np.float64]

_ROUNDING_S = 1e-6


def window_means(times: Floats, values: Floats, count: int) -> Floats:
    """The mean of the values within each half second; a half second without any is interpolated between its neighbours.

    Args:
        times: of the values, in seconds from the beginning of the recording, at least 0, in any order, (T,).
        values: (T,); NaN is left out.
        count: half seconds to give; before the first value and after the last one they are held.

    Returns:
        (count,); NaN throughout where there is no value at all.

    >>> window_means(np.array([0.0, 0.4, 1.0]), np.array([1.0, 3.0, 6.0]), 4)
    array([2., 4., 6., 6.])
    """
    # Times beyond the end are left out first: the largest floats are no integers.
    used = np.isfinite(values) & (times + _ROUNDING_S < count / RATE_HZ)
    steps = ((times[used] + _ROUNDING_S) * RATE_HZ).astype(np.int64)
    numbers = np.bincount(steps, minlength=count)
    sums = np.bincount(steps, weights=values[used], minlength=count)
    known = np.flatnonzero(numbers)
    return interpolated(step_times(count, RATE_HZ)[known], sums[known] / numbers[known], count)


def interpolated(times: Floats, values: Floats, count: int) -> Floats:
    """Values in the middle of each half second, on straight lines between those given; held before and after them.

    Args:
        times: of the values, in seconds, rising, (T,).
        values: (T,); NaN is left out.

    Returns:
        (count,); NaN throughout where there is no value at all.

    >>> interpolated(np.array([0.5, 1.5]), np.array([0.0, 1.0]), 4)
    array([0.  , 0.25, 0.75, 1.  ])
    """
    used = np.isfinite(values)
    if not used.any():
        return np.full(count, np.nan)
    between: Floats = np.interp(step_times(count, RATE_HZ), times[used], values[used])
    return between
