"""What is too large is refused from its header, before memory or time is spent on it."""

from __future__ import annotations

import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.clips import melody
from support.costs import cpu_s

from avemo_harness import media
from avemo_harness.errors import MediaError


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"max_bytes": 1000}, "bytes"),
        ({"max_pixels": 96 * 64 - 1}, "96x64"),
        ({"max_seconds": 2.9}, "lasts 3 s"),
        ({"max_fps": 24.0}, "25 frames a second"),
        ({"max_streams": 1}, "2 streams"),
        ({"max_packets": 74}, "75 packets"),
        ({"max_rate": 8000}, "16000 samples"),
        ({"max_channels": 0}, "1 channels"),
    ],
)
def test_each_limit_is_checked_on_the_header(clip: bytes, limit: dict[str, float], said: str) -> None:
    limits = replace(media.DEFAULT_LIMITS, **limit)
    for read in (media.probe, media.decode_frames, media.decode_sound):
        with pytest.raises(MediaError, match=said):
            read(clip, limits=limits)


def test_the_size_of_a_file_is_checked_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.mp4"
    with open(path, "wb") as handle:
        handle.truncate(media.DEFAULT_LIMITS.max_bytes + 1)
    with pytest.raises(MediaError, match=r"sparse\.mp4.*bytes"):
        media.probe(path)


def test_what_a_call_returns_is_limited(clip: bytes) -> None:
    limits = replace(media.DEFAULT_LIMITS, max_decoded_bytes=100_000)
    with pytest.raises(MediaError, match="fewer or smaller"):
        media.decode_frames(clip, limits=limits)
    with pytest.raises(MediaError, match="cut the clip"):
        media.decode_sound(clip, limits=limits)
    with pytest.raises(MediaError, match="pixels"):
        media.decode_frames(clip, size=(100_000, 100_000))
    assert len(media.decode_frames(clip, fps=1.0, limits=limits).pixels) == 3


@pytest.mark.parametrize("fps", [0.0, -1.0, 241.0, float("nan"), float("inf")])
def test_a_sampling_rate_must_be_within_reason(clip: bytes, fps: float) -> None:
    with pytest.raises(MediaError, match="frames a second"):
        media.decode_frames(clip, fps=fps)


@pytest.mark.parametrize("rate", [0, -16_000, 10**9])
def test_a_sound_rate_must_be_within_reason(clip: bytes, rate: int) -> None:
    with pytest.raises(MediaError, match="samples a second"):
        media.decode_sound(clip, rate=rate)


def patched(clip: bytes, box: bytes, offset: int, *numbers: int) -> bytes:
    """The clip with 32-bit numbers written into the content of the first box of a type."""
    at = clip.index(box) + 4 + offset
    new = struct.pack(f">{len(numbers)}I", *numbers)
    return clip[:at] + new + clip[at + len(new) :]


@pytest.mark.parametrize(
    ("box", "offset", "numbers"),
    [
        (b"stsz", 4, (1, 0x0400_0000)),
        (b"stsz", 4, (0, 0xFFFF_FFFF)),
        (b"stts", 8, (0x7FFF_FFFF, 512)),
        (b"ctts", 8, (0x7FFF_FFFF, 512)),
    ],
)
def test_a_header_that_announces_millions_of_packets_costs_nothing(
    clip: bytes, box: bytes, offset: int, numbers: tuple[int, ...]
) -> None:
    lying = patched(clip, box, offset, *numbers)

    def refuse() -> None:
        with pytest.raises(MediaError, match="announces"):
            media.probe(lying)

    assert cpu_s(refuse) < 50 * cpu_s(lambda: media.probe(clip))
    tracemalloc.start()
    refuse()
    assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 1, 7, 9, 0xFFFF_FFFF])
@pytest.mark.parametrize("box", [b"moov", b"trak", b"stbl"])
def test_no_size_of_a_box_hides_what_is_in_it(clip: bytes, box: bytes, size: int) -> None:
    at = clip.index(box) - 4
    hidden = clip[:at] + struct.pack(">I", size) + clip[at + 4 :]
    try:
        assert len(media.decode_frames(hidden).pixels) == 75
    except MediaError:
        pass
    else:
        with pytest.raises(MediaError, match="announces"):
            media.decode_frames(patched(hidden, b"stsz", 4, 1, 0x0400_0000))


@pytest.mark.parametrize("parent", [b"edts", b"udta", b"free", b"meta"])
def test_tables_are_found_in_boxes_of_any_name(clip: bytes, parent: bytes) -> None:
    table = struct.pack(">I4s4I", 24, b"stsz", 0, 1, 0x0400_0000, 0)
    with pytest.raises(MediaError, match="announces"):
        media.probe(clip + struct.pack(">I4s", 8 + len(table), parent) + table)


def test_a_compressed_header_is_refused(clip: bytes) -> None:
    with pytest.raises(MediaError, match="compressed"):
        media.probe(clip + struct.pack(">I4sI4s", 16, b"moov", 8, b"cmov"))


def test_a_deeply_nested_header_is_survived(clip: bytes) -> None:
    nested = b"".join(struct.pack(">I", 8 * (20_000 - depth)) + b"udta" for depth in range(20_000))
    at = clip.index(b"moov") - 4
    with pytest.raises(MediaError):
        media.probe(clip[:at] + struct.pack(">I4s", 8 + len(nested), b"moov") + nested)


def test_a_million_boxes_are_refused() -> None:
    with pytest.raises(MediaError, match="boxes"):
        media.probe(struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4s", 8, b"free") * 200_000)


def test_limits_hold_for_sound_alone() -> None:
    sound = media.encode_sound(melody(1.0))
    with pytest.raises(MediaError, match="lasts"):
        media.decode_sound(sound, limits=replace(media.DEFAULT_LIMITS, max_seconds=0.5))
    assert np.isfinite(media.decode_sound(sound)).all()
