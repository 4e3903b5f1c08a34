"""Sound for neural encoders: read at 16 kHz, encoded window by window, averaged over half seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.errors import MediaError
from avemo_harness.recognizers.extractors.base import RATE_HZ, Features
from avemo_harness.recognizers.streams import Streams

RATE = 16_000
ROW_SAMPLES = int(RATE / RATE_HZ)

WINDOW_ROWS = 40
"""A longer sound is encoded 20 seconds at a time, which bounds memory."""
CONTEXT_ROWS = 8
"""What the encoder hears before and after such a window besides: 4 seconds."""

_SHORTEST = 1_600
"""A shorter sound is filled up with silence: encoders need 25 ms for their first frame."""

Samples = NDArray[np.float32]


def heard(streams: Streams, extractor: str) -> Samples:
    """The sound of a recording at 16 kHz, at least a tenth of a second of it.

    Raises:
        MediaError: it has no sound, or cannot be read.
    """
    if streams.sound is None:
        raise MediaError(f"{extractor}: the recording has no sound")
    sound = media.decode_sound(streams.sound.read(), rate=RATE)
    return np.pad(sound, (0, max(0, _SHORTEST - len(sound))))


def windowed_rows(
    sound: Samples,
    count: int,
    encode: Callable[[Samples], NDArray[np.float32]],
    frame_middles: Callable[[int], NDArray[np.int64]],
) -> Features:
    """The mean of an encoder's frames over each half second of a sound.

    Args:
        sound: at 16 kHz, long enough for one frame.
        count: rows to give; those after the sound repeat the last one.
        encode: gives the frames of a stretch of sound, (frames, width).
        frame_middles: the sample in the middle of each of that many frames.
    """
    sums: NDArray[np.float64] | None = None
    frames = np.zeros(count)
    for start, samples in _windows(len(sound), count):
        states = encode(sound[samples])
        rows = (samples.start + frame_middles(len(states))) // ROW_SAMPLES
        own = (rows >= start) & (rows < min(start + WINDOW_ROWS, count))
        if sums is None:
            sums = np.zeros((count, states.shape[1]))
        np.add.at(sums, rows[own], states[own])
        np.add.at(frames, rows[own], 1)
    assert sums is not None
    filled = np.flatnonzero(frames)
    nearest = filled[np.maximum(np.searchsorted(filled, np.arange(count), side="right") - 1, 0)]
    means: NDArray[np.float64] = sums[nearest] / frames[nearest, None]
    return means.astype(np.float32)


def _windows(length: int, count: int) -> Iterator[tuple[int, slice]]:
    """First row of each window, and the samples that are encoded for it with their context."""
    for start in range(0, min(count, -(-length // ROW_SAMPLES)), WINDOW_ROWS):
        first = max(0, start - CONTEXT_ROWS) * ROW_SAMPLES
        yield start, slice(first, min(length, (start + WINDOW_ROWS + CONTEXT_ROWS) * ROW_SAMPLES))
