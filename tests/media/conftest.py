"""The clips that the tests of `media` share; all encoded with B-frames."""

from __future__ import annotations

import io
from fractions import Fraction

import pytest
from support.clips import make_clip, melody, pattern

from avemo_harness import media


@pytest.fixture(scope="session")
def clip() -> bytes:
    """3 s, 96x64, 25 fps, 16 kHz; encoded with B-frames."""
    return make_clip(3.0)


@pytest.fixture(scope="session")
def longer_clip() -> bytes:
    """3.4 s of other frames and other sound."""
    return make_clip(3.4, seed=5)


@pytest.fixture(scope="session")
def silent_film() -> bytes:
    """2 s of video without sound, its frames shown for 32 to 48 ms each."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, 1000)
        for position in range(50):
            frame = av.VideoFrame.from_ndarray(pattern(position), "rgb24")
            frame.pts, frame.time_base = 40 * position + (0, -8, 0)[position % 3], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.fixture(scope="session")
def sound_only() -> bytes:
    """2 s of sound in an MP4."""
    return media.encode_sound(melody(2.0))
