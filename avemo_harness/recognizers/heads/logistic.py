"""Multinomial logistic regression on standardised features, cross-validated without splitting a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import UsageError
from avemo_harness.metrics.classification import Floats

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class LogisticHead:
    """A fitted classifier of feature rows.

    Attributes:
        mean: float64 (n_values,), subtracted from a row.
        deviation: float64 (n_values,), what the difference is then divided by; positive.
        coefficients: float64 (n_labels, n_values).
        intercepts: float64 (n_labels,).
    """

    mean: Floats
    deviation: Floats
    coefficients: Floats
    intercepts: Floats

    def log_probabilities(self, values: Floats) -> Floats:
        """Natural logarithms of the labels' probabilities, shape (..., n_labels), for rows of shape (..., n_values)."""
        standardised = (values - self.mean) / self.deviation
        return log_softmax(standardised @ self.coefficients.T + self.intercepts)


def fit_logistic_head(values: Floats, labels: Indices, strength: float) -> LogisticHead:
    """Fit a classifier.

    Args:
        values: rows of features, shape (n, n_values).
        labels: label of each row, shape (n,); each of 0 … n_labels - 1 occurs and n_labels >= 2.
        strength: inverse of the weight of the L2 penalty, scikit-learn's ``C``.
    """
    from sklearn.linear_model import LogisticRegression

    mean, spread = values.mean(axis=0), values.std(axis=0)
    deviation = np.where(spread > 1e-9, spread, 1.0)
    model = LogisticRegression(C=strength, max_iter=10_000)
    model.fit((values - mean) / deviation, labels)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(coefficients) == 1:  # of two labels scikit-learn keeps the second one's log odds only
        coefficients, intercepts = np.vstack([0 * coefficients, coefficients]), np.append(0.0, intercepts)
    # In the order in which they are stored, so that a loaded head rounds alike.
    return LogisticHead(mean, deviation, np.ascontiguousarray(coefficients), intercepts)


def log_softmax(scores: Floats) -> Floats:
    """Logarithms of probabilities proportional to ``exp(scores)`` along the last axis.

    >>> np.exp(log_softmax(np.array([0.0, np.log(3.0)]))).round(6)
    array([0.25, 0.75])
    """
    shifted = scores - scores.max(axis=-1, keepdims=True)
    normalised: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


MOST_FOLDS = 8


def group_folds(groups: Sequence[str], *, seed: int) -> Indices:
    """Deal the groups out to at most ``MOST_FOLDS`` folds of about as many groups.

    Returns:
        The fold of each example, shape (n,).

    >>> group_folds(["ann", "bob", "ann"], seed=0).tolist()
    [0, 1, 0]
    """
    names = sorted(set(groups))
    places = np.random.default_rng(seed).permutation(len(names))
    fold_of = {name: int(index) % MOST_FOLDS for name, index in zip(names, places, strict=True)}
    return np.array([fold_of[group] for group in groups], dtype=np.intp)


def label_of_one_fold(truth: Indices, folds: Indices, n_labels: int) -> int | None:
    """The first label that fewer than two folds hold, so that it cannot be learnt without one of them; None if none.

    >>> label_of_one_fold(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 0]), 2)
    1
    """
    return next((label for label in range(n_labels) if len(np.unique(folds[truth == label])) < 2), None)


def held_out_log_probabilities(
    values: Floats, truth: Indices, folds: Indices, labels: Sequence[str], strength: float
) -> Floats:
    """Predict every example with a classifier that saw no other example of its fold.

    Args:
        values: rows of features, shape (n, n_values).
        truth: index in ``labels`` of each row's label, shape (n,).
        folds: fold of each row, shape (n,).
        labels: names of the labels.
        strength: inverse of the weight of the L2 penalty.

    Returns:
        Shape (n, n_labels).

    Raises:
        UsageError: a label has examples in one fold only, so that it cannot be learnt without them.
    """
    if (label := label_of_one_fold(truth, folds, len(labels))) is not None:
        raise UsageError(
            f"expected usable training clips of each label from speakers of several folds, found less for "
            f"{labels[label]!r}; add clips of more speakers"
        )
    predicted = np.zeros((len(values), len(labels)))
    for fold in np.unique(folds):
        held_out = folds == fold
        head = fit_logistic_head(values[~held_out], truth[~held_out], strength)
        predicted[held_out] = head.log_probabilities(values[held_out])
    return predicted
