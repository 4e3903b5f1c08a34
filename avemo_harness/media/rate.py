"""Changing the sampling rate of sound."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import MediaError
from avemo_harness.media.mp4_writer import checked_sound
from avemo_harness.media.reader import media_errors
from avemo_harness.media.types import Samples

_BLOCK = 2**16
_TAIL = 2**12  # zeros behind the sound, longer than the resampler's filter, which gives nothing until it is full


def resample(samples: NDArray[np.float32], rate_in: int, rate_out: int) -> Samples:
    """Change the sampling rate of mono sound, with FFmpeg's band-limited resampler.

    Args:
        samples: float [n], full scale at 1.
        rate_in, rate_out: samples a second.

    Returns:
        float32 [max(1, round(n * rate_out / rate_in))], aligned with the input.

    Raises:
        MediaError: the samples are not finite, or a rate is not positive.

    >>> len(resample(np.zeros(44_100, np.float32), 44_100, 16_000))
    16000
    """
    from av import AudioFrame, AudioResampler

    with media_errors("resample"):
        sound = checked_sound(samples)
        if min(rate_in, rate_out) <= 0:
            raise MediaError(f"rates must be positive, here are {rate_in} and {rate_out}")
        if rate_in == rate_out:
            return np.array(sound, dtype=np.float32)
        padded = np.concatenate([sound, np.zeros(_TAIL, dtype=np.float32)])[None]
        resampler = AudioResampler(format="flt", layout="mono", rate=rate_out)
        parts = []
        for start in range(0, padded.shape[1], _BLOCK):
            frame = AudioFrame.from_ndarray(padded[:, start : start + _BLOCK], "flt", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate_in, start, Fraction(1, rate_in)
            parts += resampler.resample(frame)
        parts += resampler.resample(None)
        length = max(1, round(len(sound) * rate_out / rate_in))
        return np.concatenate([part.to_ndarray()[0] for part in parts], dtype=np.float32)[:length]
