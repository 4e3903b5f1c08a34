"""Sound files that say neither how long they are nor, for the most part, that they are whole: AAC, AMR and CAF.

Phones and recorders write them. They are no clips, and what a server sends is none of them; a reply may be one.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from avemo_harness.errors import MediaError
from avemo_harness.media.reader import media_errors
from avemo_harness.media.types import DEFAULT_LIMITS, Samples

if TYPE_CHECKING:
    from av import AudioFrame

BARE_SOUND: Mapping[str, str] = {"AAC": "aac", "AMR": "amr", "CAF": "caf"}
"""FFmpeg's formats by the names of `avemo_harness.media.sound_bytes.sound_container`."""


def read_bare_sound(data: bytes, container: str) -> tuple[Samples, int]:
    """Read a whole sound file in one of `BARE_SOUND`.

    Returns:
        float32 [n] mono (the mean of the channels), and samples a second.

    Raises:
        MediaError: it cannot be decoded, ends within a frame, holds no sound, or more than a clip may.
    """
    from av import AudioResampler

    with media_errors(container):
        if container == "CAF":
            _require_chunks(data)
        resampler = AudioResampler(format="fltp")
        parts: list[Samples] = []
        rate, count = 0, 0
        for frame in _frames(data, container):
            rate = rate or int(frame.sample_rate)
            parts += [part.to_ndarray().mean(axis=0) for part in resampler.resample(frame)]
            count += frame.samples
            if count > DEFAULT_LIMITS.max_seconds * rate:
                raise MediaError(f"it has more than {DEFAULT_LIMITS.max_seconds:g} s")
        if not count:
            raise MediaError("it has no sound")
        return np.concatenate(parts).astype(np.float32, copy=False), rate


def _frames(data: bytes, container: str) -> Iterator[AudioFrame]:
    import av

    if len(data) > DEFAULT_LIMITS.max_bytes:
        raise MediaError(f"it has {len(data)} bytes, the limit is {DEFAULT_LIMITS.max_bytes}; cut or compress it")
    options = {"err_detect": "explode", "max_streams": str(DEFAULT_LIMITS.max_streams)}
    with av.open(io.BytesIO(data), "r", format=BARE_SOUND[container], options=options) as file:
        if not file.streams.audio:
            raise MediaError("it has no sound")
        stream = file.streams.audio[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"err_detect": "explode"}
        yield from file.decode(stream)


def _require_chunks(data: bytes) -> None:
    """Refuse a CAF file that ends within a chunk: bare samples decode up to there without an error.

    A chunk of unknown size, the last one of a recording that was never closed, goes to the end of the file.
    """
    offset = 8
    while offset + 12 <= len(data):
        (size,) = struct.unpack_from(">q", data, offset + 4)
        if size < 0:
            return
        offset += 12 + size
    if offset > len(data):
        raise MediaError(f"the file is cut off: {len(data)} of {offset} bytes are there")
