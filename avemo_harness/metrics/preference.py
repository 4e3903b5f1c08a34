"""Modality preference: whether a model believes voice or face when they disagree.

The benchmark's AAR, VAR and OLR (AV-EMO-Reasoning, arXiv 2510.07355).

Counts have shape (..., 3): answers that name the sound's label, the face's label, or neither (invalid ones included).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

AUDIO, VIDEO, OTHER = range(3)


def preference_counts(
    answers: Sequence[str | None], audio_labels: Sequence[str], video_labels: Sequence[str]
) -> Floats:
    """Count answers by whom they agree with.

    Args:
        answers: the parsed label of each answer; None for an invalid one.

    Returns:
        Shape (3,).

    Raises:
        ValueError: an item's two labels are the same, so that no answer could tell them apart.

    >>> preference_counts(["sad", None], ["happy", "sad"], ["sad", "angry"])
    array([0., 1., 1.])
    """
    counts = np.zeros(3)
    for answer, audio, video in zip(answers, audio_labels, video_labels, strict=True):
        if audio == video:
            raise ValueError(f"a conflict item needs two labels that differ, both are {audio!r}")
        counts[AUDIO if answer == audio else VIDEO if answer == video else OTHER] += 1
    return counts


def preference_rate(counts: Floats, which: int) -> Floats:
    """AAR (`AUDIO`), VAR (`VIDEO`) or OLR (`OTHER`): their share of all items, in [0, 1]; the three sum to 1."""
    total = counts.sum(axis=-1)
    return np.where(total > 0, counts[..., which] / np.where(total > 0, total, 1.0), np.nan)
