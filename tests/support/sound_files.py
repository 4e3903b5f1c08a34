"""Sound files of the formats that people keep recordings in."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from support.clips import RATE

from avemo_harness import media

SOUND_FORMATS = ("flac", "m4a", "mp3", "ogg", "wav")


def sound_file(kind: str, samples: NDArray[np.float32]) -> bytes:
    """Mono sound at 16 kHz in one of `SOUND_FORMATS`."""
    if kind == "m4a":
        return media.encode_sound(samples, RATE)
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=kind.upper())
    return _without_serial_number(file.getvalue()) if kind == "ogg" else file.getvalue()


BARE_FORMATS: Mapping[str, tuple[str, str, int]] = {
    "aac": ("adts", "aac", 16_000),
    "amr": ("amr", "amr_nb", 8_000),
    "caf": ("caf", "pcm_s16be", 16_000),
}
"""FFmpeg's format, codec and rate of sound files that phones write, by the ending of their names."""


def bare_sound_file(kind: str, samples: NDArray[np.float32]) -> bytes:
    """Mono sound, given at 16 kHz, in one of `BARE_FORMATS`."""
    import av

    form, codec, rate = BARE_FORMATS[kind]
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], "fltp", "mono")
        frame.rate = RATE
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(stream.format.name, "mono", rate, frame_size=size)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            for packet in stream.encode(part):
                container.mux(packet)
    return file.getvalue()


def _without_serial_number(data: bytes) -> bytes:
    """An Ogg stream of serial number 0 (RFC 3533, section 6): soundfile draws one, so that no two files are equal."""
    pages = [b"OggS" + page for page in data.split(b"OggS")[1:]]
    return b"".join(_with_checksum(page[:14] + bytes(4) + page[18:22] + bytes(4) + page[26:]) for page in pages)


def _with_checksum(page: bytes) -> bytes:
    """A page with its CRC-32 of polynomial 0x04c11db7, neither reflected nor inverted."""
    checksum = 0
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x04C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
    return page[:22] + checksum.to_bytes(4, "little") + page[26:]
