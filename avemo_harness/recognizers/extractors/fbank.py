"""The logarithmic mel filter bank of Kaldi, on which many networks for sound were trained; without dither."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
FRAMES_PER_SECOND = 100
_LENGTH, _SHIFT, _FFT = 400, 160, 512
_PREEMPHASIS = 0.97
_LOWEST_HZ = 20.0
_FLOOR = float(np.finfo(np.float32).eps)
_BLOCK = 6_000
"""Frames that are worked on at once: a minute."""

Floats = NDArray[np.float64]


def kaldi_fbank(sound: NDArray[np.float32], bands: int) -> NDArray[np.float32]:
    """Energies in bands of the mel scale, in natural logarithms.

    Frames of 25 ms every 10 ms, without their mean, with pre-emphasis .97 and a Hann window that ends in zeros; only
    whole frames (``snip_edges``). As `compute-fbank-feats` of Kaldi does with ``--window-type=hanning --dither=0``.

    Args:
        sound: mono at 16 kHz, (n,), on any scale.
        bands: from 20 Hz to 8 kHz.

    Returns:
        float32 (frames, bands), ``max(0, 1 + (n - 400) // 160)`` frames; at least ln 1.19e-7.
    """
    if len(sound) < _LENGTH:
        return np.empty((0, bands), dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(sound, _LENGTH)[::_SHIFT]
    parts = [_energies(frames[at : at + _BLOCK], bands) for at in range(0, len(frames), _BLOCK)]
    return np.log(np.maximum(np.concatenate(parts), _FLOOR)).astype(np.float32)


def _energies(frames: NDArray[np.float32], bands: int) -> Floats:
    centred = frames.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    before = np.concatenate([centred[:, :1], centred[:, :-1]], axis=1)
    spectrum = np.fft.rfft((centred - _PREEMPHASIS * before) * np.hanning(_LENGTH), _FFT)
    energies: Floats = (np.abs(spectrum) ** 2) @ _bank(bands).T
    return energies


@lru_cache(maxsize=4)
def _bank(bands: int) -> Floats:
    """Triangles that overlap by half and are straight on the mel scale, (bands, bins); none reaches 8 kHz itself."""
    edges = np.linspace(_mel(np.array(_LOWEST_HZ)), _mel(np.array(RATE / 2)), bands + 2)
    left, middle, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = _mel(np.arange(_FFT // 2 + 1) * RATE / _FFT)
    rising, falling = (bins - left) / (middle - left), (right - bins) / (right - middle)
    bank: Floats = np.maximum(0.0, np.minimum(rising, falling))
    bank[:, -1] = 0.0
    return bank


def _mel(hz: Floats) -> Floats:
    mel: Floats = 1127.0 * np.log1p(hz / 700.0)
    return mel
