"""Understanding of emotion as classification: accuracy, F1 and their kin from confusion counts.

The benchmark's Acc_AV, F1_AV, Acc_A and Acc_V (AV-EMO-Reasoning, arXiv 2510.07355).

Counts have shape (..., L, L + 1): gold label by predicted label, the last column being answers that name no label.
Every function takes any number of leading axes, so that a bootstrap computes all resamples at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def confusion_counts(gold: Sequence[int], predicted: Sequence[int | None], labels: int) -> Floats:
    """Count answers by gold and predicted label.

    Args:
        gold: index of each item's gold label, in [0, labels).
        predicted: index of each answer's label; None for an invalid answer.

    Returns:
        Shape (labels, labels + 1).

    >>> confusion_counts([0, 1, 1], [0, None, 0], labels=2)
    array([[1., 0., 0.],
           [1., 0., 1.]])
    """
    counts = np.zeros((labels, labels + 1))
    for truth, answer in zip(gold, predicted, strict=True):
        counts[truth, labels if answer is None else answer] += 1
    return counts


def accuracy(counts: Floats) -> Floats:
    """Right answers / items, in [0, 1], higher is better; NaN without items. Invalid answers are wrong."""
    return _ratio(_hits(counts).sum(axis=-1), counts.sum(axis=(-2, -1)))


def f1_per_label(counts: Floats) -> Floats:
    """F1 of each label, shape (..., L), in [0, 1]; NaN for a label with neither gold nor predicted items."""
    hits = _hits(counts)
    return _ratio(2 * hits, counts.sum(axis=-1) + _predicted(counts))


def macro_f1(counts: Floats, labels: NDArray[np.bool_]) -> Floats:
    """Plain mean of F1 over labels, in [0, 1], higher is better.

    Args:
        labels: which labels count, shape (L,): those that occur in the whole gold. In a resample, one of them with
            neither gold nor predictions is dropped, and one predicted but absent counts 0.
    """
    scores = f1_per_label(counts)
    used = labels & ~np.isnan(scores)
    return _ratio(np.where(used, scores, 0.0).sum(axis=-1), used.sum(axis=-1))


def macro_f1_all(counts: Floats) -> Floats:
    """Mean of F1 over all labels, a label with neither gold nor predictions counting 0; NaN without items."""
    mean = np.nan_to_num(f1_per_label(counts)).mean(axis=-1)
    return np.where(counts.sum(axis=(-2, -1)) > 0, mean, np.nan)


def weighted_f1(counts: Floats) -> Floats:
    """Mean of F1 over labels, weighted by their gold items, in [0, 1], higher is better; NaN without items.

    >>> float(weighted_f1(confusion_counts([0, 0, 0, 1], [0, 0, 0, None], labels=2)))
    0.75
    """
    support = counts.sum(axis=-1)
    return _ratio((support * np.nan_to_num(f1_per_label(counts))).sum(axis=-1), support.sum(axis=-1))


def recall_per_label(counts: Floats) -> Floats:
    """Recall of each label, shape (..., L); NaN for a label without gold items."""
    return _ratio(_hits(counts), counts.sum(axis=-1))


def precision_per_label(counts: Floats) -> Floats:
    """Precision of each label, shape (..., L); NaN for a label that is never predicted."""
    return _ratio(_hits(counts), _predicted(counts))


def balanced_accuracy(counts: Floats) -> Floats:
    """Mean recall over the labels that have gold items, in [0, 1], higher is better; NaN without items."""
    recalls = recall_per_label(counts)
    present = ~np.isnan(recalls)
    return _ratio(np.where(present, recalls, 0.0).sum(axis=-1), present.sum(axis=-1))


def _hits(counts: Floats) -> Floats:
    hits: Floats = np.diagonal(counts[..., :-1], axis1=-2, axis2=-1)
    return hits


def _predicted(counts: Floats) -> Floats:
    predicted: Floats = counts[..., :-1].sum(axis=-2)
    return predicted


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    safe = np.where(denominator > 0, denominator, 1.0)
    return np.where(denominator > 0, numerator / safe, np.nan)
