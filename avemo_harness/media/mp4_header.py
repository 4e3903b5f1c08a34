"""What an MP4 header announces, read before FFmpeg builds its index from it.

FFmpeg allocates an index entry for every sample that the tables announce, so a few bytes can cost gigabytes. The boxes
are those of ISO/IEC 14496-12 ("ISO base media file format"), sections 8.3 (tkhd), 8.6 (stts, ctts), 8.7 (stsz, stz2)
and 8.8 (trun).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from avemo_harness.errors import MediaError
from avemo_harness.media.types import MediaLimits

_PARENTS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"})
_MAX_BOXES = 100_000


def check_mp4_header(handle: BinaryIO, limits: MediaLimits) -> None:
    """Refuse a header that announces more samples than `limits` allow, or a video that is to be shown turned.

    A file that is no MP4 passes unread. The handle's position is restored.

    Raises:
        MediaError: without the clip's name, which the caller adds.
    """
    start = handle.tell()
    try:
        if handle.read(8)[4:] in (b"ftyp", b"moov", b"moof", b"styp"):
            handle.seek(start)
            for kind, body in _leaves(handle):
                _check_box(kind, body, limits)
    finally:
        handle.seek(start)


def _leaves(handle: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Every box below moov and moof that holds no boxes itself, as (type, content); other boxes are skipped unread."""
    boxes = 0
    while len(head := handle.read(8)) == 8:
        boxes += 1
        if boxes > _MAX_BOXES:
            raise MediaError(f"its header has more than {_MAX_BOXES} boxes; re-encode the clip")
        size, kind, length = int.from_bytes(head[:4], "big"), head[4:], 8
        if size == 1:
            size, length = int.from_bytes(handle.read(8), "big"), 16
        if size < length:
            return
        if kind in (b"moov", b"moof"):
            yield from _children(memoryview(handle.read(size - length)))
        else:
            handle.seek(size - length, 1)


def _children(content: memoryview) -> Iterator[tuple[bytes, bytes]]:
    while len(content) >= 8:
        size, kind = int.from_bytes(content[:4], "big"), bytes(content[4:8])
        if not 8 <= size <= len(content):
            return
        if kind in _PARENTS:
            yield from _children(content[8:size])
        else:
            yield kind, bytes(content[8:size])
        content = content[size:]


def _check_box(kind: bytes, body: bytes, limits: MediaLimits) -> None:
    samples = _announced_samples(kind, body)
    if samples > limits.max_packets:
        raise MediaError(f"its header announces {samples} packets in a stream, the limit is {limits.max_packets}")
    if kind == b"tkhd" and _is_turned(body):
        raise MediaError("its video is stored turned or mirrored; re-encode it upright")


def _announced_samples(kind: bytes, body: bytes) -> int:
    if kind in (b"stsz", b"stz2") and len(body) >= 12:
        return int.from_bytes(body[8:12], "big")
    if kind == b"trun" and len(body) >= 8:
        return int.from_bytes(body[4:8], "big")
    if kind in (b"stts", b"ctts") and len(body) >= 8:
        entries = min(int.from_bytes(body[4:8], "big"), (len(body) - 8) // 8)
        return sum(count for count, _ in struct.iter_unpack(">II", body[8 : 8 + 8 * entries]))
    return 0


def _is_turned(tkhd: bytes) -> bool:
    """Whether the track's display matrix [a b; c d] does anything but scale."""
    at = 40 if tkhd[:1] == b"\0" else 52
    if len(tkhd) < at + 20:
        return False
    a, b, _, c, d = struct.unpack(">5i", tkhd[at : at + 20])
    return bool(b or c or a < 0 or d < 0)
