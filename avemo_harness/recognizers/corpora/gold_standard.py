"""One trajectory out of several people's ratings of the same recording."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

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
    consensus = _mean(ratings, axis=1)
    if gold == "mean":
        return consensus
    weights, means = rater_weights(ratings), _mean(ratings, axis=0)
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
    means = _mean(ratings, axis=0)
    centred = ratings - means
    variances = _mean(centred**2, axis=0)
    covariances = _mean(centred[:, :, None] * centred[:, None, :], axis=0)
    spread = variances[:, None] + variances[None, :] + (means[:, None] - means[None, :]) ** 2
    concordances = 2 * covariances / np.where(spread > 0, spread, np.nan)
    np.fill_diagonal(concordances, np.nan)
    return _mean(concordances, axis=1)


def _mean(values: Floats, axis: int) -> Floats:
    """The mean over what is not NaN; NaN where there is nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an empty mean is meant to be NaN
        mean: Floats = np.nanmean(values, axis=axis)
    return mean
