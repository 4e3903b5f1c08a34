"""Calibration of the probabilities of ranked labels: expected calibration error and Brier score.

Items may be weighted: weights have shape (..., N), and a value has their leading axes, so that a bootstrap computes all
resamples at once. A weight of 2 is the item twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BINS = 10


def label_probabilities(scores: Floats) -> Floats:
    """Softmax of log scores over the last axis, the labels; minus infinity gives 0.

    >>> label_probabilities(np.log([[1.0, 3.0]])).round(4)
    array([[0.25, 0.75]])
    """
    odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
    probabilities: Floats = odds / odds.sum(axis=-1, keepdims=True)
    return probabilities


def expected_calibration_error(confidences: Floats, hits: Floats, weights: Floats | None = None) -> Floats:
    """``sum over bins of n_b / n * |accuracy_b - confidence_b|``, in [0, 1], lower is better; NaN without items.

    Ten bins of equal mass over the confidence (`equal_mass_bins`); the error of Guo et al. 2017 (arXiv 1706.04599) with
    the bins of Nixon et al. 2019 (arXiv 1904.01685). It is never negative, so noise raises it: a calibrated forecaster
    gets about ``2.5 * sqrt(p * (1 - p) / n)`` at an accuracy of p, and not 0.

    Args:
        confidences: probability of each item's answer, shape (N,).
        hits: 1 where the answer is right and 0 where it is wrong, shape (N,).
        weights: at least 0, shape (..., N); by default 1.

    >>> float(expected_calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), np.array([1.0, 1.0, 0.0, 0.0])))
    0.25
    """
    weights = np.ones(len(confidences)) if weights is None else weights
    leading = weights.shape[:-1]
    if len(confidences) == 0:
        return np.full(leading, np.nan)
    rows = int(np.prod(leading))
    bins = equal_mass_bins(confidences, weights).reshape(rows, -1) + BINS * np.arange(rows)[:, None]
    gaps = (weights * (hits - confidences)).ravel()
    by_bin = np.bincount(bins.ravel(), weights=gaps, minlength=rows * BINS).reshape(*leading, BINS)
    return _mean(np.abs(by_bin).sum(axis=-1), weights)


def brier_score(probabilities: Floats, gold: Integers, weights: Floats | None = None) -> Floats:
    """``mean over items of sum over labels of (p - is_gold)**2``, in [0, 2], lower is better; NaN without items.

    The score of Brier 1950 for several labels. Equal probabilities of L labels give ``1 - 1 / L``.

    Args:
        probabilities: of each label, shape (N, L).
        gold: index of each item's gold label, shape (N,).
        weights: at least 0, shape (..., N); by default 1.

    >>> float(brier_score(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0, 0])))
    1.25
    """
    weights = np.ones(len(gold)) if weights is None else weights
    errors = probabilities - (np.arange(probabilities.shape[-1]) == gold[:, None])
    return _mean((weights * (errors**2).sum(axis=-1)).sum(axis=-1), weights)


def equal_mass_bins(confidences: Floats, weights: Floats) -> Integers:
    """The bin of each item, in [0, 10), shape (..., N): where the middle of its mass falls among tenths of all mass.

    Items of equal confidence are never parted: they share the bin of their common middle, so that bins do not depend on
    the items' order. Bins of N items without ties differ in size by one at most; up to ten items have a bin each.

    >>> equal_mass_bins(np.array([0.9, 0.3, 0.3]), np.ones(3)).tolist()
    [8, 3, 3]
    """
    order = np.argsort(confidences, kind="stable")
    first_of_equals = np.diff(confidences[order], prepend=-np.inf) > 0
    mass = np.add.reduceat(weights[..., order], np.flatnonzero(first_of_equals), axis=-1)
    below_or_in = np.cumsum(mass, axis=-1)
    twice_total = np.maximum(2 * below_or_in[..., -1:], np.finfo(np.float64).tiny)
    bins = (BINS * (2 * below_or_in - mass) // twice_total).astype(np.int64)
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.cumsum(first_of_equals) - 1
    # Groups without mass above all others would fall just beyond the last bin.
    found: Integers = np.minimum(bins, BINS - 1)[..., group]
    return found


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Items of like confidence: the lowest, highest and mean confidence among them, their accuracy and number."""

    lower: float
    upper: float
    confidence: float
    accuracy: float
    n: int


def reliability_bins(confidences: Floats, hits: Floats) -> tuple[ReliabilityBin, ...]:
    """The bins that `expected_calibration_error` compares, from low to high confidence; empty ones are left out."""
    if len(confidences) == 0:
        return ()
    bins = equal_mass_bins(confidences, np.ones(len(confidences)))
    inside = [bins == number for number in np.unique(bins)]
    return tuple(
        ReliabilityBin(
            lower=float(confidences[one].min()),
            upper=float(confidences[one].max()),
            confidence=float(confidences[one].mean()),
            accuracy=float(hits[one].mean()),
            n=int(one.sum()),
        )
        for one in inside
    )


def _mean(sums: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=-1)
    return np.where(total > 0, sums / np.where(total > 0, total, 1.0), np.nan)
