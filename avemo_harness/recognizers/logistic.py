"""Multinomial logistic regression on standardised features: fitted with scikit-learn, applied with NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
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
