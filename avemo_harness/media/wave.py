"""Sound as servers exchange it: WAV, also of unknown length, and bare 16-bit samples."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import MediaError
from avemo_harness.media.types import Samples

UNKNOWN = (0, 0x7FFFFFFF, 0x7FFFFFFE, 0xFFFFFFFF, 0xFFFFFFFE)
"""Lengths that a header carries where its writer did not know better."""
_PIPED = 0x7FFF_0000  # some tools write a little less than the largest number, to leave room for their header
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


class IncompleteSoundError(MediaError):
    """A sound file ends before it says, or is damaged: sent again, it may be whole."""


def is_wave(data: bytes) -> bool:
    """Check that bytes begin as a WAV file does."""
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


def with_known_sizes(data: bytes) -> bytes:
    """A WAV file whose header says how long its sound is; as it was where the header told it already.

    Writers into a pipe leave 0 or the largest number there, and the sound goes on to the end of the file.
    """
    offset, size = _data_chunk(data)
    left = len(data) - offset
    if left > 0 and (size == 0 or (size > left and size >= _PIPED)):
        head = b"RIFF" + struct.pack("<I", len(data) - 8) + data[8 : offset - 4]
        return head + struct.pack("<I", left) + data[offset:]
    return data


def known_size(data: bytes) -> int | None:
    """Bytes that a WAV file has up to the end of its sound, by its header; None where its writer did not know.

    A file that ends before its sound begins lacks at least one.
    """
    offset, size = _data_chunk(data)
    if not offset:
        return len(data) + 1
    return None if size in UNKNOWN or size >= _PIPED else offset + size


def with_more_samples(data: bytes, samples: bytes) -> bytes:
    """A whole WAV file, continued by samples in its own format that came without a header."""
    offset, size = _data_chunk(data)
    sound = data[offset : offset + size] + samples
    return data[: offset - 4] + struct.pack("<I", len(sound)) + sound


def _data_chunk(data: bytes) -> tuple[int, int]:
    """The offset of a WAV file's sound and the size that its header states; 0 and 0 where there is none."""
    offset = 12
    while offset + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, offset)
        offset += 8
        if name == b"data":
            return offset, size
        offset += size + size % 2
    return 0, 0


def read_wave(data: bytes) -> tuple[Samples, int]:
    """Read a WAV file of 16-bit or 32-bit float samples.

    Returns:
        float32 [n] mono (the mean of the channels), and samples a second.

    Raises:
        IncompleteSoundError: it ends before its header says.
        MediaError: it is no such file, or has no rate.
    """
    if not is_wave(data):
        raise MediaError(f"no WAV file: it begins with {data[:12]!r}")
    kind = channels = rate = bits = 0
    offset = 12
    while offset + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, offset)
        offset += 8
        if name == b"data":
            samples = _samples(data[offset:], size, kind, channels, bits)
            if rate < 1:
                raise MediaError("a WAV file of 0 samples a second; expected a rate")
            return samples, rate
        if name == b"fmt " and offset + 16 <= len(data):
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, offset)
            if kind == _EXTENSIBLE and offset + 26 <= len(data):
                (kind,) = struct.unpack_from("<H", data, offset + 24)
        offset += size + size % 2
    raise IncompleteSoundError("a WAV file without samples: it ends before its data")


def _samples(body: bytes, size: int, kind: int, channels: int, bits: int) -> Samples:
    if size not in UNKNOWN:
        if len(body) < size:
            raise IncompleteSoundError(f"the WAV file is cut off: {len(body)} of {size} bytes of sound are there")
        body = body[:size]
    if channels < 1 or (kind, bits) not in ((_PCM, 16), (_FLOAT, 32)):
        raise MediaError(f"a WAV file of format {kind} with {bits} bits and {channels} channels; expected 16-bit PCM")
    whole = len(body) - len(body) % (channels * bits // 8)
    values = read_pcm16(body[:whole]) if kind == _PCM else np.frombuffer(body[:whole], "<f4").astype(np.float32)
    mono: Samples = values.reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return mono


def read_pcm16(data: bytes) -> Samples:
    """Read bare 16-bit samples, little-endian, as float32 [n] with full scale at 1.

    Raises:
        MediaError: half a sample is left over, so that bytes are missing.

    >>> read_pcm16(bytes([0, 64, 0, 192])).tolist()
    [0.5, -0.5]
    """
    if len(data) % 2:
        raise MediaError(f"{len(data)} bytes are no 16-bit samples: half of one is missing")
    samples: Samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
    return samples


def write_wave(samples: NDArray[np.float32], rate: int) -> bytes:
    """A WAV file of mono 16-bit samples; louder ones than full scale are clipped.

    >>> read_wave(write_wave(np.float32([0.5, -0.5]), 8000))
    (array([ 0.5, -0.5], dtype=float32), 8000)
    """
    body: bytes = (np.clip(samples, -1.0, 32767 / 32768) * 32768).round().astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", 16, _PCM, 1, rate, 2 * rate, 2, 16)
    return head + struct.pack("<4sI", b"data", len(body)) + body
