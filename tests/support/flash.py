"""Clips in Flash's container."""

from __future__ import annotations

import io
from typing import Any

from support.clips import RATE, melody, pattern


def flash_clip(seconds: float) -> bytes:
    """A clip in Flash's container, whose header has one rough duration for both streams."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="flv") as container:
        video: Any = container.add_stream("flv1", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        sound: Any = container.add_stream("aac", rate=RATE, layout="mono")
        for position in range(round(25 * seconds)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pattern(position), format="rgb24")))
        for start in range(0, round(seconds * RATE), 1024):
            block = melody(seconds)[start : start + 1024][None]
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(sound.encode(frame))
        for stream in (video, sound):
            container.mux(stream.encode(None))
    return file.getvalue()
