"""Spoken EQ (SEQ) of SpeechEQ: a share of dialogues on the scale of intelligence tests, against a cohort of systems."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MEAN, DEVIATION, LIMIT = 100.0, 15.0, 4.0
"""The scale's mean and standard deviation, and how many of these a value may lie from the mean."""
LOWEST, HIGHEST = MEAN - LIMIT * DEVIATION, MEAN + LIMIT * DEVIATION

COHORT = (0.250, 0.358, 0.403, 0.306, 0.260, 0.583, 0.242, 0.271, 0.365, 0.449, 0.317)
"""Shares of dialogues (Acc_traj) of the random baseline and the ten systems of SpeechEQ's table, in its order."""

_NORMAL = 1.4826
"""Standard deviations in a median absolute deviation of the normal distribution: 1 / 0.6745."""


def spoken_eq(shares: Floats, cohort: Sequence[float] = COHORT) -> Floats:
    """``100 + 15 (x - median) / (1.4826 MAD)`` of a cohort, within four deviations of 100.

    Of Wu et al. (arXiv:2606.25990).

    Args:
        shares: of dialogues in which every choice is right, shape (...).
        cohort: the same of the systems that set the scale.

    Returns:
        Shape (...); NaN where the share is.

    >>> [round(float(value), 1) for value in spoken_eq(np.array([0.317, 0.583, 1.0]))]
    [100.0, 147.2, 160.0]
    """
    known = np.array(cohort, dtype=np.float64)
    centre = np.median(known)
    spread = _NORMAL * np.median(np.abs(known - centre))
    return np.clip(MEAN + DEVIATION * (shares - centre) / spread, LOWEST, HIGHEST)
