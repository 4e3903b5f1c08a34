"""Precision, recall and F1 of sets of words, the mean over several ways of grouping words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _means(sums: Floats) -> tuple[Floats, Floats]:
    """Mean precision and mean recall of each grouping, (B, W) each, of sums (B, W, 3); NaN without an item."""
    number = sums[..., 2]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(number > 0, sums[..., 0] / number, np.nan), np.where(number > 0, sums[..., 1] / number, np.nan)


def mean_precision(sums: Floats) -> Floats:
    """Mean over groupings of the items' mean precision, shape (B,); NaN where a grouping has no item.

    Args:
        sums: of precision, of recall, and how many items have them, by grouping, shape (B, W, 3).
    """
    return _means(sums)[0].mean(axis=-1)


def mean_recall(sums: Floats) -> Floats:
    """As `mean_precision`, of recall."""
    return _means(sums)[1].mean(axis=-1)


def mean_f1(sums: Floats) -> Floats:
    """Mean over groupings of the harmonic mean of mean precision and mean recall (Lian et al., ICML 2025); 0 for 0, 0.

    >>> mean_f1(np.array([[[1.0, 0.5, 1.0], [0.0, 0.0, 1.0]]])).round(3)
    array([0.333])
    """
    precision, recall = _means(sums)
    total = precision + recall
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total == 0, 0.0, 2 * precision * recall / total).mean(axis=-1)
