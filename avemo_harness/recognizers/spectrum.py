"""Short-time power spectra and log-mel bands of a recording, independent of its level."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples a second that every feature of sound is defined for."""
FRAMES_PER_SECOND = 100
MEL_BANDS = 40
FLOOR_DB = -80.0
"""Power below this, relative to the loudest frame, counts as nothing."""

_HOP = RATE // FRAMES_PER_SECOND
_FRAME = 720
_TRANSFORM = 1024

Floats = NDArray[np.float64]


def power_spectra(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the power spectrum of a 45 ms Hann frame every 10 ms, relative to the loudest frame.

    Args:
        samples: mono at 16 kHz, shape (n,). Less than a frame is filled up with silence.

    Returns:
        Shape (frames, 513), bin k at k * 15.625 Hz; the bins of the loudest frame sum to 1. Silence gives zeros.
    """
    missing = max(0, _FRAME - len(samples))
    padded = np.pad(samples.astype(np.float32, copy=False), (0, missing))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
    spectra = np.fft.rfft(frames * frame_window(), _TRANSFORM, axis=1)
    power: NDArray[np.float32] = (spectra.real**2 + spectra.imag**2).astype(np.float32)
    loudest = power.sum(axis=1).max()
    return power / loudest if loudest > 1e-9 else np.zeros_like(power)


@cache
def frame_window() -> NDArray[np.float32]:
    """Return the window of a frame, shape (720,)."""
    return np.hanning(_FRAME + 2)[1:-1].astype(np.float32)


def bin_frequencies() -> Floats:
    """Return the frequencies of the bins of ``power_spectra`` in Hz, shape (513,)."""
    return np.arange(_TRANSFORM // 2 + 1, dtype=np.float64) * (RATE / _TRANSFORM)


def decibels(power: NDArray[np.float32]) -> Floats:
    """Decibels relative to the loudest frame, never below ``FLOOR_DB``."""
    levels: Floats = 10 * np.log10(power.astype(np.float64) + 10 ** (FLOOR_DB / 10))
    return levels


@cache
def mel_bank() -> NDArray[np.float32]:
    """Return triangular filters evenly spaced in mel from 60 Hz to 7.6 kHz, shape (40, 513), each with peak 1."""
    mel = np.linspace(_mel(60.0), _mel(7600.0), MEL_BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hz = bin_frequencies()
    filters = np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre))
    return np.maximum(0, filters).astype(np.float32)


@cache
def cosine_basis(coefficients: int = 12) -> Floats:
    """Return the cosines that turn log-mel bands into cepstra, shape (coefficients, 40), orthonormal, from order 1."""
    order = np.arange(1, coefficients + 1)[:, None]
    basis: Floats = np.cos(np.pi * order * (np.arange(MEL_BANDS) + 0.5) / MEL_BANDS) * np.sqrt(2 / MEL_BANDS)
    return basis


def _mel(hz: float) -> float:
    """O'Shaughnessy's scale: 1000 Hz are 1000 mel."""
    return float(2595 * np.log10(1 + hz / 700))
