"""Ratings of several people to one gold standard, two values a second (AVEC 2018, or the mean)."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np

from avemo_harness.metrics.classification import Floats
from avemo_harness.metrics.trajectory import step_times
from avemo_harness.recognizers.features.base import RATE_HZ

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
    return np.interp(step_times(count, RATE_HZ), times[used], values[used])


GoldStandard = Literal["avec2018", "mean"]
"""avec2018: the mean of the raters, moved so that raters who agree with the others decide where it lies; mean: just
the mean."""


def fuse_ratings(ratings: Floats, gold: GoldStandard) -> Floats:
    """The gold standard of one recording and one dimension.

    ``avec2018`` is what the Audio/Visual Emotion Challenge of 2018 did (AVEC2018, scripts_GES/GoldStandardCreation):
    ``y(t) = mean_r y_r(t) - mean_{r,t} y_r(t) + sum_r w_r mean_t y_r(t) / sum_r w_r``, where the weight of a rater is
    the mean concordance with each of the others.

    Args:
        ratings: (T, raters); NaN where a rater gave none.

    Returns:
        (T,); NaN where nobody rated.

    >>> fuse_ratings(np.array([[0.0, 0.2], [0.4, 0.6]]), "mean")
    array([0.1, 0.5])
    """
    consensus = _nan_mean(ratings, axis=1)
    if gold == "mean":
        return consensus
    weights, means = rater_weights(ratings), _nan_mean(ratings, axis=0)
    counted = np.isfinite(weights) & np.isfinite(means)
    total = weights[counted].sum()
    # Weights that cancel out (raters who contradict each other) say nothing about where the trajectory lies.
    if total <= 0:
        return consensus
    moved: Floats = consensus - np.nanmean(ratings) + (weights[counted] @ means[counted]) / total
    return moved


def rater_weights(ratings: Floats) -> Floats:
    """The mean concordance of each rater with each other one, (raters,); NaN for one that it is undefined for.

    >>> rater_weights(np.array([[0.0, 0.0], [1.0, 1.0]]))
    array([1., 1.])
    """
    means = _nan_mean(ratings, axis=0)
    centred = ratings - means
    variances = _nan_mean(centred**2, axis=0)
    covariances = _nan_mean(centred[:, :, None] * centred[:, None, :], axis=0)
    spread = variances[:, None] + variances[None, :] + (means[:, None] - means[None, :]) ** 2
    concordances = 2 * covariances / np.where(spread > 0, spread, np.nan)
    np.fill_diagonal(concordances, np.nan)
    return _nan_mean(concordances, axis=1)


def _nan_mean(values: Floats, axis: int) -> Floats:
    """The mean over what is not NaN; NaN where there is nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an empty mean is meant to be NaN
        mean: Floats = np.nanmean(values, axis=axis)
    return mean
