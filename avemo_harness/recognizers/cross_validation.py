"""Cross-validation that keeps all examples of a group, such as a speaker, on one side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.logistic import Floats, Indices, fit_logistic_head

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
    fold_of = {name: int(place) % MOST_FOLDS for name, place in zip(names, places, strict=True)}
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
