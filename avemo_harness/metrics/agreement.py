"""Agreement of one series with another: concordance, correlation, distance.

Everything is computed from moments, which add up over recordings, so that a bootstrap over recordings is one matrix
product. Moments have shape (..., 6): n, sum x, sum y, sum x², sum y², sum x·y.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CENTRE = 0.5
"""Subtracted from both series before moments are taken, so that little is lost to rounding on the unit scale."""


def series_moments(x: Floats, y: Floats) -> Floats:
    """The moments of a pair of series, shape (6,).

    Raises:
        ValueError: the lengths differ, or a value is not a number.

    >>> series_moments(np.array([0.5, 1.5]), np.array([0.5, 0.5]))
    array([2., 1., 0., 1., 0., 0.])
    """
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"expected two series of one length, found shapes {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("expected series of finite numbers")
    u, v = x - CENTRE, y - CENTRE
    return np.array([len(u), u.sum(), v.sum(), u @ u, v @ v, u @ v])


def concordance(moments: Floats) -> Floats:
    """Concordance correlation coefficient (Lin 1989), in [-1, 1], higher is better.

    ``CCC = 2 cov(x, y) / (var x + var y + (mean x - mean y)²)`` with population moments. Undefined (NaN) where both
    series are constant or there is nothing; exactly 0 where one is constant.

    >>> float(concordance(series_moments(np.array([0.0, 1.0]), np.array([0.0, 1.0]))))
    1.0
    """
    mean_x, mean_y, var_x, var_y, cov = _central(moments)
    both_constant, one_constant = (var_x <= 0) & (var_y <= 0), (var_x <= 0) | (var_y <= 0)
    spread = var_x + var_y + (mean_x - mean_y) ** 2
    # Rounding leaves some covariance with a constant, now above zero and now below.
    value = np.where(one_constant, 0.0, 2 * cov) / np.where(both_constant, 1.0, spread)
    return np.where(both_constant | np.isnan(mean_x), np.nan, value)


def concordance_with_labels(moments: Floats) -> Floats:
    """Concordance of single recordings with what they are labelled, x predicted and y the labels.

    As `concordance`, but undefined (NaN) wherever the labels are constant: they name no course that could be followed.
    """
    value = concordance(moments)
    return np.where(_central(moments)[3] <= 0, np.nan, value)


def correlation(moments: Floats) -> Floats:
    """Pearson's correlation, in [-1, 1], higher is better; NaN where a series is constant."""
    mean_x, _, var_x, var_y, cov = _central(moments)
    constant = (var_x <= 0) | (var_y <= 0) | np.isnan(mean_x)
    scale = np.sqrt(np.where(constant, 1.0, var_x * var_y))
    return np.where(constant, np.nan, np.clip(cov / scale, -1.0, 1.0))


def root_mean_square_error(moments: Floats) -> Floats:
    """Root of the mean squared difference, at least 0, lower is better; NaN where there is nothing."""
    n = np.where(moments[..., 0] > 0, moments[..., 0], np.nan)
    square: Floats = np.maximum(moments[..., 3] + moments[..., 4] - 2 * moments[..., 5], 0) / n
    root: Floats = np.sqrt(square)
    return root


def _central(moments: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Means, population variances (0 where only rounding is left) and covariance."""
    n = np.where(moments[..., 0] > 0, moments[..., 0], np.nan)
    mean_x, mean_y = moments[..., 1] / n, moments[..., 2] / n
    square_x, square_y = moments[..., 3] / n, moments[..., 4] / n
    var_x, var_y = square_x - mean_x**2, square_y - mean_y**2
    var_x = np.where(var_x > 1e-12 * square_x, var_x, 0.0)
    var_y = np.where(var_y > 1e-12 * square_y, var_y, 0.0)
    return mean_x, mean_y, var_x, var_y, moments[..., 5] / n - mean_x * mean_y
