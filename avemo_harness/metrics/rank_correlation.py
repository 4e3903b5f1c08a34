"""Rank correlations of two judgements of the same items: Spearman's rho and Kendall's tau-b, with ties.

Items may be weighted: weights have shape (..., N), and a value has their leading axes, so that a bootstrap computes all
resamples at once. A weight of 2 is the item twice. Both are in [-1, 1], and NaN where a side is constant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import Estimate, ItemBootstrap

Floats = NDArray[np.float64]

_CELLS_A_BLOCK = 2**21
_DECIMALS = 9
"""Values are compared rounded to so many, so that equal scores tie whatever order their sums were taken in."""


def spearman(x: Floats, y: Floats, weights: Floats | None = None) -> Floats:
    """Spearman's rho: Pearson's correlation of the ranks, those of equal values being their mean.

    Args:
        x, y: shape (N,).
        weights: whole numbers of at least 0, shape (..., N); by default 1.

    >>> float(spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])))
    0.5
    """
    weights = np.ones(len(x)) if weights is None else weights
    total = weights.sum(axis=-1, keepdims=True)
    # The mean of all ranks is (total + 1) / 2, whatever ties there are.
    u, v = (weighted_ranks(values, weights) - (total + 1) / 2 for values in (x, y))
    covariance, var_u, var_v = ((weights * one).sum(axis=-1) for one in (u * v, u * u, v * v))
    return _ratio(covariance, var_u, var_v)


def weighted_ranks(values: Floats, weights: Floats) -> Floats:
    """The rank of each value, from 1 on, equal values sharing their mean rank: (..., N)."""
    rounded = values.round(_DECIMALS)
    order = np.argsort(rounded, kind="stable")
    starts = np.flatnonzero(np.diff(rounded[order], prepend=-np.inf) > 0)
    group = np.empty(len(order), dtype=np.intp)
    group[order] = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
    if not len(order):
        return np.zeros(weights.shape)
    mass = np.add.reduceat(weights[..., order], starts, axis=-1)
    ranks: Floats = (np.cumsum(mass, axis=-1) - (mass - 1) / 2)[..., group]
    return ranks


def kendall(x: Floats, y: Floats, weights: Floats | None = None) -> Floats:
    """Kendall's tau-b (1945): pairs that both sides order alike less those ordered otherwise, over pairs not tied.

    The denominator is the geometric mean of the numbers of pairs that x, and that y, does not tie.

    Args:
        x, y: shape (N,).
        weights: at least 0, shape (..., N); by default 1.

    >>> round(float(kendall(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))), 3)
    0.333
    """
    weights = np.ones(len(x)) if weights is None else weights
    return _tau(weights, pair_orders(x, y, np.arange(len(x))))


def pair_orders(x: Floats, y: Floats, clusters: NDArray[np.int64]) -> Floats:
    """Sums over the pairs of items of any two of D clusters of sgn(x) sgn(y), |sgn(x)| and |sgn(y)|: (3, D, D).

    Args:
        x, y: shape (N,).
        clusters: the number of each item's cluster, every one of [0, D) occurring.
    """
    order = np.argsort(clusters, kind="stable")
    u, v = x.round(_DECIMALS)[order], y.round(_DECIMALS)[order]
    starts = np.flatnonzero(np.diff(clusters[order], prepend=-1) > 0)
    by_row = np.zeros((3, len(x), len(starts)))
    block = max(1, _CELLS_A_BLOCK // max(1, len(x)))
    for start in range(0, len(x), block):
        rows = slice(start, start + block)
        signs_x, signs_y = (np.sign(values[rows, None] - values) for values in (u, v))
        for kind, signs in enumerate((signs_x * signs_y, np.abs(signs_x), np.abs(signs_y))):
            by_row[kind, rows] = np.add.reduceat(signs, starts, axis=1)
    return np.add.reduceat(by_row, starts, axis=1) if len(x) else by_row


def _tau(weights: Floats, orders: Floats) -> Floats:
    """Tau-b of clusters that count so often, (..., D), from what `pair_orders` gives of them."""
    alike, untied_x, untied_y = (((weights @ table) * weights).sum(axis=-1) for table in orders)
    return _ratio(alike, untied_x, untied_y)


def _ratio(top: Floats, first: Floats, second: Floats) -> Floats:
    defined = (first > 0) & (second > 0)
    scale = np.sqrt(np.where(defined, first * second, 1.0))
    return np.where(defined, np.clip(top / scale, -1.0, 1.0), np.nan)


def spearman_estimate(x: Floats, y: Floats, clusters: NDArray[np.int64]) -> Estimate:
    """Spearman's rho with its interval over resampled clusters.

    Args:
        x, y: shape (N,).
        clusters: the number of each item's cluster, every one of [0, D) occurring.
    """

    def statistic(weights: Floats) -> Floats:
        block = max(1, _CELLS_A_BLOCK // len(x))
        parts = [spearman(x, y, weights[start : start + block]) for start in range(0, len(weights), block)]
        return np.concatenate(parts)

    return ItemBootstrap(clusters).estimate(statistic, low=-1.0)


def kendall_estimate(x: Floats, y: Floats, clusters: NDArray[np.int64]) -> Estimate:
    """Kendall's tau-b with its interval over resampled clusters; as `spearman_estimate`."""
    if not len(x):
        return Estimate(None, None, None)
    orders = pair_orders(x, y, clusters)
    return ItemBootstrap(np.arange(orders.shape[-1])).estimate(lambda weights: _tau(weights, orders), low=-1.0)


def correlations_of_rows(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Spearman's rho and Kendall's tau-b of few items, many times at once.

    Args:
        x, y: shape (..., N); a row that holds NaN has no value.

    Returns:
        Shape (...) each.

    >>> rho, tau = correlations_of_rows(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 3.0, 2.0]]))
    >>> rho.round(3), tau.round(3)
    (array([0.5]), array([0.333]))
    """
    signs_x, signs_y = (
        np.sign(one.round(_DECIMALS)[..., :, None] - one.round(_DECIMALS)[..., None, :]) for one in (x, y)
    )
    # The items below one less those above it are twice the distance of its rank from the mean rank.
    u, v = signs_x.sum(axis=-1), signs_y.sum(axis=-1)
    rho = _ratio((u * v).sum(axis=-1), (u * u).sum(axis=-1), (v * v).sum(axis=-1))
    alike, untied_x, untied_y = (
        one.sum(axis=(-2, -1)) for one in (signs_x * signs_y, np.abs(signs_x), np.abs(signs_y))
    )
    return rho, _ratio(alike, untied_x, untied_y)
