"""Clips of any container, size and rate, encoded anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avemo_harness.media.decode import probe
from avemo_harness.media.encode import encode_clip, encode_sound
from avemo_harness.media.remux import remove_sound
from avemo_harness.media.stretch import stretch_frames, stretch_sound

FPS = 25
RATE = 16_000


def reencode(data: bytes) -> bytes:
    """Encode a clip with the streams that it has as h264 and AAC in MP4: upright, of even size, 25 frames and 16,000
    samples a second.

    Raises:
        MediaError: the clip is damaged.
    """
    info = probe(data)
    if info.video is None:
        return encode_sound(stretch_sound(data, rate=RATE), RATE)
    frames = map(even_sized, stretch_frames(data, fps=FPS))
    if info.sound is None:
        return remove_sound(encode_clip(frames, np.zeros(1, np.float32), fps=FPS, rate=RATE))
    return encode_clip(frames, stretch_sound(data, rate=RATE), fps=FPS, rate=RATE)


def even_sized(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame without the last row or column where their number is odd, as encoders need it."""
    return frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]
