"""Choices among lettered options: how far the answered letters lie from the true ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LETTERS = 26


def letter_counts(truth: Sequence[int], answered: Sequence[int]) -> Floats:
    """Count true and answered letters.

    Args:
        truth, answered: letters by number, from 0, of the items whose answer names one.

    Returns:
        Shape (2, 26).
    """
    return np.stack(
        [np.bincount(np.array(side, dtype=np.intp), minlength=LETTERS) for side in (truth, answered)]
    ).astype(np.float64)


def position_bias(counts: Floats) -> Floats:
    """Preference for one letter: ``max over letters of (answered - true) / (1 - true)``, of shares, in [0, 1].

    0 where each letter is answered as often as it is true, 1 where one is always answered; lower is better. Invalid
    answers name no letter and count on neither side. Undefined (NaN) without any, and where one letter is always true:
    there a model that is always right cannot be told from one that always says that letter.

    Args:
        counts: true and answered letters, shape (..., 2, 26).

    >>> always_a = letter_counts([0, 1, 2, 0], [0, 0, 0, 0])
    >>> float(position_bias(always_a)), float(position_bias(letter_counts([0, 1], [0, 1])))
    (1.0, 0.0)
    """
    items = counts.sum(axis=-1)[..., 0]
    shares = counts / np.where(items > 0, items, 1.0)[..., None, None]
    true, answered = shares[..., 0, :], shares[..., 1, :]
    constant = (true >= 1).any(axis=-1)
    excess = (answered - true) / np.where(true < 1, 1 - true, 1.0)
    return np.where((items > 0) & ~constant, np.maximum(excess.max(axis=-1), 0.0), np.nan)
