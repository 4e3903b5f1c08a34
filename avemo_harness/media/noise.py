"""Noise that stands in for a clip's speech."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import MediaError
from avemo_harness.media.types import Samples

NoiseKind = Literal["speech_shaped", "white", "pink", "silence", "rms_matched"]

LEVEL_DBFS = -26.0
"""RMS of every noise of fixed level, in dB re full scale: the usual nominal level of speech (ITU-T P.56 and P.830)."""

_HIGH_PASS_HZ = 80.0
_CORNER_HZ = 500.0
_SLOPE_DB_PER_OCTAVE = -9.0
_ACTIVE_RANGE_DB = 40.0
_MIN_DRAW = 16_000


def make_noise(
    kind: NoiseKind, n_samples: int, *, rate: int, seed: int, reference: NDArray[np.float32] | None = None
) -> Samples:
    """Draw noise of an exact level.

    ``speech_shaped`` has the long-term spectrum of speech whoever talks (flat from 80 to 500 Hz, -9 dB per octave
    above, nothing below), ``white`` and ``pink`` are what their names say, ``silence`` is zeros. These say nothing of
    the speech they replace. ``rms_matched`` is the speech-shaped noise at the level of `reference`, which leaks it.

    Args:
        n_samples: length; 0 gives an empty array.
        rate: samples a second.
        seed: equal seeds give equal noise.
        reference: mono speech, float [m]; read by ``rms_matched`` alone.

    Returns:
        float32 [n_samples] in [-1, 1] with an RMS of -26 dBFS, or that of the reference's active speech.

    Raises:
        MediaError: the kind is unknown, the length or rate is out of range, or ``rms_matched`` lacks its reference.

    >>> noise = make_noise("speech_shaped", 16_000, rate=16_000, seed=1)
    >>> float(round(20 * np.log10(np.sqrt(np.mean(noise**2))), 3))
    -26.0
    """
    if n_samples < 0 or rate <= 0:
        raise MediaError(f"noise needs a length of at least 0 and a positive rate; here are {n_samples} and {rate}")
    if kind == "silence" or n_samples == 0:
        return np.zeros(n_samples, dtype=np.float32)
    if kind == "rms_matched":
        if reference is None:
            raise MediaError("rms_matched noise needs the speech whose level it takes as reference")
        level = active_level(reference, rate)
    else:
        level = 10 ** (LEVEL_DBFS / 20)
    drawn = np.random.default_rng(seed).standard_normal(max(n_samples, _MIN_DRAW))
    spectrum = np.fft.rfft(drawn)
    spectrum *= _shape(kind, np.fft.rfftfreq(len(drawn), 1 / rate))
    return _at_level(np.fft.irfft(spectrum, len(drawn))[:n_samples], level)


def active_level(samples: NDArray[np.float32], rate: int) -> float:
    """RMS of the 20 ms frames that are within 40 dB of the loudest: the level of speech without its pauses.

    Returns:
        A number in [0, 1] for sound within full scale; 0 for silence.

    >>> active_level(np.concatenate([np.full(1600, 0.1), np.zeros(8000)]), 16_000).__round__(3)
    0.1
    """
    frame = max(1, min(rate // 50, len(samples)))
    count = len(samples) // frame
    if count == 0:
        return 0.0
    power = np.mean(np.square(samples[: count * frame].reshape(count, frame), dtype=np.float64), axis=1)
    active = power >= power.max() * 10 ** (-_ACTIVE_RANGE_DB / 10)
    return float(np.sqrt(power[active].mean()))


def _shape(kind: NoiseKind, hz: NDArray[np.floating]) -> NDArray[np.floating]:
    """Amplitude at each frequency."""
    if kind == "white":
        return np.ones_like(hz)
    if kind == "pink":
        return np.where(hz > 0, 1 / np.sqrt(np.maximum(hz, 20.0)), 0.0)
    if kind in ("speech_shaped", "rms_matched"):
        octaves = np.log2(np.maximum(hz, _CORNER_HZ) / _CORNER_HZ)
        return np.where(hz >= _HIGH_PASS_HZ, 10 ** (_SLOPE_DB_PER_OCTAVE * octaves / 20), 0.0)
    raise MediaError(f"unknown noise {kind!r}; choose speech_shaped, white, pink, silence or rms_matched")


def _at_level(noise: NDArray[np.floating], level: float) -> Samples:
    """Scale to an RMS of `level`; what clipping takes away at high levels is given back by scaling again."""
    for _ in range(50):
        rms = float(np.sqrt(np.mean(noise**2)))
        if rms == 0 or abs(rms / max(level, 1e-12) - 1) < 1e-9:
            break
        noise = np.clip(noise * (level / rms), -1.0, 1.0)
    return noise.astype(np.float32)
