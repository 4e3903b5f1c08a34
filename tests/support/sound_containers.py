"""One tone in every container of sound that is known, as servers may send it."""

from __future__ import annotations

import io

import numpy as np

from avemo_harness import media

RATE = 24_000
TONE = (0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)).astype(np.float32)


def written(container: str, subtype: str | None = None) -> bytes:
    """The tone as libsndfile writes it."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, TONE, RATE, format=container, subtype=subtype)
    return file.getvalue()


FILES = {
    "wav": ("WAV", written("WAV")),
    "wav of 24 bits": ("WAV", written("WAV", "PCM_24")),
    "wav of 8 bits": ("WAV", written("WAV", "PCM_U8")),
    "wav of 64-bit floats": ("WAV", written("WAV", "DOUBLE")),
    "wav in mu-law": ("WAV", written("WAV", "ULAW")),
    "extensible wav": ("WAV", written("WAVEX", "PCM_24")),
    "rf64": ("RF64", written("RF64")),
    "w64": ("W64", written("W64")),
    "aiff": ("AIFF", written("AIFF")),
    "au": ("AU", written("AU")),
    "flac": ("FLAC", written("FLAC")),
    "vorbis": ("Ogg", written("OGG")),
    "opus": ("Ogg", written("OGG", "OPUS")),
    "mp3": ("MP3", written("MP3")),
    "m4a": ("MP4", media.encode_sound(TONE, RATE)),
}
"""Containers and files."""
BARE = media.write_wave(TONE, RATE)[44:]

ADTS = b"".join(bytes([0xFF, 0xF1, 0x50, 0x80, 0x02, 0x1F, 0xFC]) + bytes(9) for _ in range(5))
"""Frames of AAC without a container."""
