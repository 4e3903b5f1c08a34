"""Announcements of an MP4 header, read before FFmpeg builds its index from it."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from avemo_harness.errors import MediaError
from avemo_harness.media.types import MediaLimits

_BOXES = re.compile(b"stsz|stz2|trun|stts|ctts|tkhd|cmov|hdlr|vmhd|smhd|stsd")
_STREAMS = {b"vide": "video", b"soun": "sound", b"vmhd": "video", b"smhd": "sound"}
_MAX_BOXES = 100_000


@dataclass(frozen=True, slots=True)
class Mp4Header:
    """Tracks as a header describes them.

    Args:
        quarter_turns: by how many, counterclockwise, the video is to be shown turned: 0 to 3.
        streams: of video and sound those that there must be. FFmpeg passes over a track whose description is damaged.
        formats: the four characters that name the format of each, such as ``avc1``; known also where FFmpeg has no
            decoder.
    """

    quarter_turns: int
    streams: frozenset[str]
    formats: Mapping[str, str]


def read_mp4_header(handle: BinaryIO, limits: MediaLimits) -> Mp4Header:
    """Refuse a header that announces more samples than `limits` allow, or a video that is to be shown mirrored.

    The handle's position is restored.

    Raises:
        MediaError: without the clip's name, which the caller adds.
    """
    start = handle.tell()
    turns: set[int] = set()
    streams: set[str] = set()
    formats: dict[str, str] = {}
    handler = ""
    has_header = False
    for header in _headers(handle):
        has_header |= header[4:8] in (b"moov", b"moof")
        if header[4:8] == b"moov":
            _check_boxes(header, 8, len(header), (b"trak", b"mdia", b"minf", b"stbl"))
        for box in _BOXES.finditer(header):
            kind, at = box.group(), box.end()
            if kind == b"tkhd":
                turns.add(_quarter_turns(header, at))
            elif kind == b"stsd":
                formats.setdefault(handler, _printable(header[at + 12 : at + 16]))
            elif named := _STREAMS.get(header[at + 8 : at + 12] if kind == b"hdlr" else kind):
                streams.add(named)
                handler = named
            elif kind != b"hdlr":
                _check_box(kind, header, at, limits)
    handle.seek(start)
    if not has_header and _is_mp4(handle):
        raise MediaError("it has no header: its recording was broken off, or it is cut off; restore the clip")
    # Sound is never turned, so that its tracks say 0.
    if len(turns - {0}) > 1:
        raise MediaError("its videos are stored turned in several ways; re-encode one of them upright")
    return Mp4Header(max(turns, default=0), frozenset(streams), formats)


def _is_mp4(handle: BinaryIO) -> bool:
    beginning = handle.read(8)
    handle.seek(-len(beginning), 1)
    return beginning[4:] == b"ftyp"


def _printable(name: bytes) -> str:
    return "".join(char if char.isprintable() else "?" for char in name.decode("latin-1"))


def _check_boxes(header: bytes, start: int, end: int, path: Sequence[bytes]) -> None:
    """Refuse a header that is blank where a box should begin: FFmpeg would pass over all that follows.

    Args:
        start, end: where the boxes lie.
        path: the boxes of this kind are looked into, and the next kind in them, and so on.
    """
    while start + 8 <= end:
        size, kind = int.from_bytes(header[start : start + 4], "big"), header[start + 4 : start + 8]
        if kind == bytes(4) and any(header[start:end]):
            raise MediaError("its header is damaged; restore the clip")
        if size < 8:
            return
        if path and kind == path[0]:
            _check_boxes(header, start + 8, min(start + size, end), path[1:])
        start += size


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
    """Effect of a track's display matrix [a b; c d] besides scaling; x goes to the right and y down."""
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
