"""The NumPy prediction is scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avemo_harness.recognizers.heads.logistic import fit_logistic_head, log_softmax


@pytest.mark.parametrize("n_labels", [2, 3, 4])
@pytest.mark.parametrize("strength", [0.001, 0.1])
def test_it_agrees_with_scikit_learns_log_probabilities(n_labels: int, strength: float) -> None:
    rng = np.random.default_rng(n_labels)
    labels = np.arange(60) % n_labels
    values = rng.normal(5, 3, (60, 20)) + labels[:, None] * rng.normal(0, 1, 20)
    head = fit_logistic_head(values, labels, strength)
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=10_000)).fit(values, labels)
    unseen = rng.normal(5, 6, (50, 20))
    np.testing.assert_allclose(head.log_probabilities(unseen), reference.predict_log_proba(unseen), atol=1e-6)


def test_a_value_that_never_varies_is_harmless() -> None:
    values = np.column_stack([np.arange(8.0), np.full(8, 1e6)])
    head = fit_logistic_head(values, np.arange(8) % 2, 1.0)
    assert np.isfinite(head.log_probabilities(values)).all()


def test_probabilities_of_huge_scores_do_not_overflow() -> None:
    np.testing.assert_allclose(log_softmax(np.array([1e6, 0.0])), [0.0, -1e6])
