"""What an MP4 header announces, read before FFmpeg builds its index from it.

FFmpeg allocates an index entry for every sample that the tables announce, so that a few bytes can cost gigabytes. The
boxes are those of ISO/IEC 14496-12 ("ISO base media file format"), sections 4.2 (boxes), 8.3 (tkhd), 8.6 (stts, ctts),
8.7 (stsz, stz2) and 8.8 (trun). FFmpeg finds tables at any depth and in boxes of any name, so they are looked for by
name in everything but the media data.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from avemo_harness.errors import MediaError
from avemo_harness.media.types import MediaLimits

_BOXES = re.compile(b"stsz|stz2|trun|stts|ctts|tkhd|cmov")
_MAX_BOXES = 100_000


def check_mp4_header(handle: BinaryIO, limits: MediaLimits) -> int:
    """Refuse a header that announces more samples than `limits` allow, or a video that is to be shown mirrored.

    The handle's position is restored.

    Returns:
        By how many quarter turns, counterclockwise, the video is to be shown turned: 0 to 3.

    Raises:
        MediaError: without the clip's name, which the caller adds.
    """
    start = handle.tell()
    turns: set[int] = set()
    for header in _headers(handle):
        for box in _BOXES.finditer(header):
            if box.group() == b"tkhd":
                turns.add(_quarter_turns(header, box.end()))
            else:
                _check_box(box.group(), header, box.end(), limits)
    handle.seek(start)
    # Sound is never turned, so that its tracks say 0.
    if len(turns - {0}) > 1:
        raise MediaError("its videos are stored turned in several ways; re-encode one of them upright")
    return max(turns, default=0)


def _headers(handle: BinaryIO) -> Iterator[bytes]:
    """The content of every top-level box but the media data, as far as the file goes."""
    start = handle.tell()
    length = handle.seek(0, 2)
    for _ in range(_MAX_BOXES):
        handle.seek(start)
        head = handle.read(16)
        if len(head) < 8:
            return
        size, kind, used = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, used = int.from_bytes(head[8:], "big"), 16
        end = min(start + size, length) if size else length
        if end < start + used:
            return
        if kind == b"moov" and size and start + size > length:
            # FFmpeg takes what is left of it, so that a stream would be missing and nobody told.
            raise MediaError("its header is cut off; restore the clip")
        if kind != b"mdat":
            handle.seek(start)
            yield handle.read(end - start)
        start = end
    raise MediaError(f"it has more than {_MAX_BOXES} boxes; re-encode the clip")


def _check_box(kind: bytes, header: bytes, at: int, limits: MediaLimits) -> None:
    """Check the box whose content begins at `at`."""
    if kind == b"cmov":
        raise MediaError("its header is compressed; re-encode the clip")
    if (samples := _announced_samples(kind, header, at)) > limits.max_packets:
        raise MediaError(f"its header announces {samples} packets in a stream, the limit is {limits.max_packets}")


def _announced_samples(kind: bytes, header: bytes, at: int) -> int:
    if kind in (b"stsz", b"stz2"):
        return int.from_bytes(header[at + 8 : at + 12], "big")
    entries = int.from_bytes(header[at + 4 : at + 8], "big")
    if kind == b"trun":
        return entries
    table = header[at + 8 : at + 8 + 8 * entries]
    return sum(count for count, _ in struct.iter_unpack(">II", table[: len(table) // 8 * 8]))


def _quarter_turns(header: bytes, at: int) -> int:
    """What a track's display matrix [a b; c d] does besides scaling; x goes to the right and y down."""
    matrix = at + (52 if header[at : at + 1] == b"\1" else 40)
    if len(header) < matrix + 20:
        return 0
    a, b, _, c, d = struct.unpack_from(">5i", header, matrix)
    if not (b or c) and a >= 0 and d >= 0:
        return 0
    if not (a or d) and b < 0 < c:
        return 1
    if not (b or c) and a < 0 and d < 0:
        return 2
    if not (a or d) and c < 0 < b:
        return 3
    raise MediaError("its video is stored turned askew or mirrored; re-encode it upright")
