"""Loudness of speech, and sound brought to one loudness, so that no system is known by its level (ITU-R BS.1770-4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avemo_harness.media import Samples

RATE = 48_000
"""Samples a second: the only rate that the standard gives its filters for."""
TARGET_LUFS = -23.0
PEAK = 0.98
_SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
_HIGH_PASS = (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)
_BLOCK, _STEP = int(0.4 * RATE), int(0.1 * RATE)
_ABSOLUTE_GATE, _RELATIVE_GATE = -70.0, -10.0


def loudness(samples: Samples) -> float:
    """Integrated loudness of mono sound in LUFS; minus infinity for silence.

    Args:
        samples: float [n] at `RATE`, full scale at 1. What is shorter than a block of 0.4 s counts as one.

    >>> time = np.arange(RATE) / RATE
    >>> round(loudness(np.sin(2 * np.pi * 997 * time).astype(np.float32)), 1)
    -3.0
    """
    from scipy.signal import lfilter

    weighted = lfilter(*_HIGH_PASS, lfilter(*_SHELF, samples.astype(np.float64)))
    starts = np.arange(0, max(len(weighted) - _BLOCK, 0) + 1, _STEP)
    power = np.array([np.mean(weighted[start : start + _BLOCK] ** 2) for start in starts])
    power = power[_level(power) > _ABSOLUTE_GATE]
    if not len(power):
        return float("-inf")
    power = power[_level(power) > _level(power.mean()) + _RELATIVE_GATE]
    return float(_level(power.mean()))


def levelled(samples: Samples) -> Samples:
    """The sound at `TARGET_LUFS`, or as near to it as its peaks allow; silence stays as it is."""
    found = loudness(samples)
    if not np.isfinite(found):
        return samples
    gain = min(10 ** ((TARGET_LUFS - found) / 20), PEAK / float(np.abs(samples).max()))
    scaled: Samples = (samples * gain).astype(np.float32)
    return scaled


def _level(power: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return -0.691 + 10 * np.log10(power)
