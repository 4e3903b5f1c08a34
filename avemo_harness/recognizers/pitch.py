"""The fundamental frequency of a voice, by the normalised autocorrelation of short frames.

Each frame's autocorrelation is divided by that of its window (Boersma 1993, "Accurate short-term analysis of the
fundamental frequency"), so that a periodic frame peaks near 1 at its period and a noisy one stays well below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ = 65.0
HIGHEST_HZ = 500.0
VOICED_STRENGTH = 0.6
"""Normalised autocorrelation at the period from which a frame can be voiced."""
SHORTEST_RUN = 5
"""Frames in a row that must be voiced with a steady pitch: chance peaks of noise do not last."""
LARGEST_STEP = 0.12
"""Largest change of pitch between neighbouring frames of a run, as a natural logarithm (two semitones)."""
_OCTAVE_COST = 0.06
_AUDIBLE_DB = -40.0


@dataclass(frozen=True, slots=True)
class PitchTrack:
    """Pitch of every frame.

    Attributes:
        hz: float64 (n,), the fundamental frequency; 0 in frames that are not voiced.
        strength: float64 (n,), normalised autocorrelation at the best period, in [0, 1], of every frame.
    """

    hz: NDArray[np.float64]
    strength: NDArray[np.float64]

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Which frames are voiced, shape (n,)."""
        return self.hz > 0


def track_pitch(power: NDArray[np.float32], window: NDArray[np.float32], rate: int) -> PitchTrack:
    """Follow the pitch through the power spectra of a recording.

    Args:
        power: shape (n, bins), squared magnitudes of a zero-padded transform of ``2 * (bins - 1)`` samples.
        window: the window that was applied to each frame before the transform.
        rate: samples a second of the recording.

    Returns:
        One pitch a frame. A frame is voiced where it is within 40 dB of the loudest, its period stands out, and the
        same holds for at least five frames in a row whose pitch moves smoothly.
    """
    size = 2 * (power.shape[1] - 1)
    # Half the spectrum gives the autocorrelation at half the rate: enough for a voice, at half the cost.
    half = power[:, : size // 4 + 1]
    correlation = np.fft.irfft(half, axis=1)
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2)[::2]
    first, last = int(rate / 2 / HIGHEST_HZ), int(np.ceil(rate / 2 / LOWEST_HZ))
    energy = np.maximum(correlation[:, :1], 1e-20)
    shape = of_window[0] / of_window[first - 1 : last + 2]
    normalised = (correlation[:, first - 1 : last + 2] / energy * shape).astype(np.float64)

    lags = np.arange(first, last + 1)
    middle = normalised[:, 1:-1]
    is_peak = (middle > normalised[:, :-2]) & (middle >= normalised[:, 2:])
    # Every multiple of a period is a peak too: a small cost for each octave prefers the shortest.
    merit = np.where(is_peak, middle - _OCTAVE_COST * np.log2(lags), -np.inf)
    best = merit.argmax(axis=1)
    rows = np.arange(len(power))
    left, centre, right = (normalised[rows, best + shift] for shift in (0, 1, 2))
    found = is_peak[rows, best]
    curve = np.where(found, left - 2 * centre + right, -1.0)
    offset = np.where(found, 0.5 * (left - right) / np.minimum(curve, -1e-9), 0.0)
    hz = rate / 2 / (lags[best] + np.clip(offset, -0.5, 0.5))
    strength = np.where(found, np.clip(centre, 0.0, 1.0), 0.0)

    loudness = energy[:, 0]
    audible = loudness > loudness.max(initial=0.0) * 10 ** (_AUDIBLE_DB / 10)
    candidate = audible & (strength >= VOICED_STRENGTH)
    return PitchTrack(np.where(_steady(np.log(hz), candidate), hz, 0.0), strength)


def _steady(log_hz: NDArray[np.float64], candidate: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the candidates in runs of at least ``SHORTEST_RUN`` frames without a jump of pitch."""
    if not len(candidate):
        return candidate
    linked = candidate[1:] & candidate[:-1] & (np.abs(np.diff(log_hz)) <= LARGEST_STEP)
    run = np.concatenate([[0], np.cumsum(~linked)])
    lengths = np.bincount(run, weights=candidate)
    steady: NDArray[np.bool_] = candidate & (lengths[run] >= SHORTEST_RUN)
    return steady
