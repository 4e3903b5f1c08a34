"""Sound files in memory, told apart by their content, since servers send unrequested containers."""

from __future__ import annotations

import io
import struct

import numpy as np

from avemo_harness.errors import MediaError
from avemo_harness.media.decode import decode_sound, probe
from avemo_harness.media.reader import media_errors
from avemo_harness.media.types import DEFAULT_LIMITS, Samples
from avemo_harness.media.wave import IncompleteSoundError, is_wave, known_size, read_wave, with_known_sizes

_MAGIC = {
    b"RF64": "RF64",
    b"riff": "W64",
    b"FORM": "AIFF",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3\x02": "MP3",
    b"ID3\x03": "MP3",
    b"ID3\x04": "MP3",
    b".snd": "AU",
    b"caff": "CAF",
    b"\x1aE\xdf\xa3": "WebM",
    b"#!AM": "AMR",
}
_BY_SOUNDFILE = ("WAV", "RF64", "W64", "AIFF", "FLAC", "Ogg", "MP3", "AU")
_BY_FFMPEG = ("MP4", "WebM")
READABLE_SOUND = (*_BY_SOUNDFILE, *_BY_FFMPEG)
"""Containers that `read_sound` reads."""

_BLOCK = 2**16
_KBITS = {1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)}
_KBITS[2] = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {0b11: (44_100, 48_000, 32_000), 0b10: (22_050, 24_000, 16_000), 0b00: (11_025, 12_000, 8_000)}
_FRAMES_IN_A_ROW = 3
"""Headers of frames, each where the last one says, that bare samples do not hold by chance."""


def sound_container(data: bytes) -> str | None:
    """The container that bytes begin as, such as ``WAV``, ``MP3`` or ``AAC``; None for anything else, bare samples too.

    >>> sound_container(b"fLaC" + bytes(38)), sound_container(bytes(100))
    ('FLAC', None)
    """
    if is_wave(data):
        return "WAV"
    if data[4:8] == b"ftyp":
        return "MP4"
    return _MAGIC.get(data[:4]) or _container_of_frames(data)


def begins_sound_file(data: bytes) -> bool:
    """True where bytes begin a new file, and are no later page or frame of one that is sent in pieces."""
    if data[:4] == b"OggS":
        return len(data) > 5 and data[5] & 2 == 2  # the first page of a stream
    return is_wave(data) or data[4:8] == b"ftyp" or data[:4] in _MAGIC


def read_sound(data: bytes) -> tuple[Samples, int]:
    """Read a whole sound file in one of `READABLE_SOUND`.

    Returns:
        float32 [n] mono (the mean of the channels), and samples a second.

    Raises:
        IncompleteSoundError: it is cut off or damaged.
        MediaError: it is in no container that is read, or holds a codec that is not.
    """
    container = sound_container(data)
    if container not in READABLE_SOUND:
        raise MediaError(f"{container or 'no sound file'}, which begins with {data[:12]!r}")
    if container in _BY_FFMPEG:
        return _by_ffmpeg(data, container)
    if container == "WAV" and _is_plain(data):
        return read_wave(data)
    _require_whole(data, container)
    return _by_soundfile(with_known_sizes(data) if container == "WAV" else data, container)


def _by_ffmpeg(data: bytes, container: str) -> tuple[Samples, int]:
    try:
        sound = probe(data).sound
        if sound is None:
            raise MediaError(f"{container} without sound")
        return decode_sound(data, rate=sound.rate), sound.rate
    except MediaError as error:
        raise IncompleteSoundError(f"{container} that cannot be decoded: {error}") from error


def _by_soundfile(data: bytes, container: str) -> tuple[Samples, int]:
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, parts, room = int(file.samplerate), [], DEFAULT_LIMITS.max_seconds * file.samplerate
            while len(part := file.read(_BLOCK, dtype="float32", always_2d=True)):
                parts.append(part.mean(axis=1, dtype=np.float32))
                room -= len(part)
                if room < 0:
                    raise MediaError(f"{container} of more than {DEFAULT_LIMITS.max_seconds:g} s")
            stated, count = file.frames, sum(map(len, parts))
    except soundfile.SoundFileError as error:
        # Whether another codec or damage keeps it from being read, only FLAC does not tell.
        kind = IncompleteSoundError if container == "FLAC" else MediaError
        raise kind(f"{container} that cannot be decoded ({error})") from error
    if count < stated < 2**62:  # the largest number stands for an unknown length
        raise IncompleteSoundError(f"the {container} file is cut off: {count} of {stated} samples are there")
    return np.concatenate([*parts, np.zeros(0, np.float32)]), rate


def _is_plain(data: bytes) -> bool:
    """True where a WAV file has samples of 16 bits or 32-bit floats, or ends before it tells."""
    offset = data.find(b"fmt ", 12)
    if offset < 0 or offset + 24 > len(data):
        return True
    kind, bits = struct.unpack_from("<H12xH", data, offset + 8)
    if kind == 0xFFFE and offset + 34 <= len(data):
        (kind,) = struct.unpack_from("<H", data, offset + 32)
    return (kind, bits) in ((1, 16), (3, 32))


def _require_whole(data: bytes, container: str) -> None:
    """IncompleteSoundError where a file is shorter than it says, which libsndfile passes over."""
    with media_errors(container):
        expected = _stated_size(data, container)
    if len(data) < expected:
        raise IncompleteSoundError(f"the {container} file is cut off: {len(data)} of {expected} bytes are there")


def _stated_size(data: bytes, container: str) -> int:
    if container == "WAV":
        size = known_size(data)
        return len(data) if size is None else size
    if container == "RF64" and data[12:16] == b"ds64" and len(data) >= 28:
        return int(struct.unpack_from("<Q", data, 20)[0]) + 8
    if container == "W64" and len(data) >= 24:
        return int(struct.unpack_from("<Q", data, 16)[0])
    if container == "AIFF" and len(data) >= 8:
        return int(struct.unpack_from(">I", data, 4)[0]) + 8
    if container == "AU" and len(data) >= 12:
        start, size = struct.unpack_from(">II", data, 4)
        return int(start) + (0 if size == 0xFFFFFFFF else int(size))
    if container == "Ogg":
        last = data.rfind(b"OggS")
        has_end = len(data) > last + 5 and data[last + 5] & 4 == 4  # the last page of a stream
        return _end_of_page(data, last) if has_end else len(data) + 1
    if container == "MP3":
        return _end_of_frames(data)
    return 0 if container == "FLAC" else len(data) + 1


def _end_of_page(data: bytes, offset: int) -> int:
    """The offset behind an Ogg page (RFC 3533, section 6)."""
    if len(data) < offset + 27:
        return len(data) + 1
    count = data[offset + 26]
    return offset + 27 + count + sum(data[offset + 27 : offset + 27 + count])


def _end_of_frames(data: bytes) -> int:
    """The offset behind the last MP3 frame that has begun."""
    offset = 0
    if data[:3] == b"ID3" and len(data) >= 10:
        offset = 10 + sum((byte & 127) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    while (length := _mp3_frame(data, offset)) > 0:
        offset += length
    return offset


def _container_of_frames(data: bytes) -> str | None:
    """MP3 or AAC where bytes begin with several frames of it."""
    for name, length_of in (("MP3", _mp3_frame), ("AAC", _adts_frame)):
        offset = count = 0
        while count < _FRAMES_IN_A_ROW and (length := length_of(data, offset)) > 0:
            offset, count = offset + length, count + 1
        if count == _FRAMES_IN_A_ROW or (count and offset >= len(data)):
            return name
    return None


def _mp3_frame(data: bytes, offset: int) -> int:
    """Bytes of the frame that begins at a offset (ISO/IEC 11172-3, 2.4.1.3; layer III); 0 where none does."""
    head = data[offset : offset + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, bits, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 0b01 or bits in (0, 15) or rate == 3:
        return 0
    first = version == 0b11
    return (144 if first else 72) * 1000 * _KBITS[1 if first else 2][bits - 1] // _RATES[version][rate] + (
        head[2] >> 1 & 1
    )


def _adts_frame(data: bytes, offset: int) -> int:
    """Bytes of the AAC frame that begins at a offset (ISO/IEC 13818-7, 6.2); 0 where none does."""
    head = data[offset : offset + 7]
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else 0
