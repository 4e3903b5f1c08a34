"""A damaged clip is an error or, where the damage does no harm, a clip of full length; never less, never a crash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from support.clips import melody
from support.costs import cpu_s
from support.damage import damaged_copies

from avemo_harness import media
from avemo_harness.errors import MediaError

COPIES = 200

Step = Callable[[bytes], tuple[int, int]]


def lengths(clip: bytes) -> tuple[int, int]:
    """Video frames and sound samples."""
    return len(media.decode_frames(clip).pixels), len(media.decode_sound(clip))


@pytest.mark.slow
def test_a_damaged_clip_is_an_error_or_as_long_as_before(clip: bytes, longer_clip: bytes) -> None:
    steps: dict[str, Step] = {
        "decode": lengths,
        "freeze": lambda damaged: lengths(media.freeze_video(damaged)),
        "replace": lambda damaged: lengths(media.replace_sound(damaged, melody(3.0))),
        "join": lambda damaged: lengths(media.join_streams(damaged, longer_clip)),
    }
    whole = {name: cpu_s(partial(step, clip)) for name, step in steps.items()}
    tally: Counter[tuple[str, str]] = Counter()
    for number, damaged in enumerate(damaged_copies(clip, COPIES, seed=20)):
        for name, step in steps.items():

            def attempt(name: str = name, step: Step = step, number: int = number, damaged: bytes = damaged) -> None:
                try:
                    frames, samples = step(damaged)
                except MediaError:
                    tally[name, "error"] += 1
                else:
                    assert abs(frames - 75) <= 1, (number, name)
                    assert abs(samples - 48_000) <= 1.5 * 1024, (number, name)
                    tally[name, "whole"] += 1

            assert cpu_s(attempt, times=1) < 50 * whole[name], (number, name)
    assert tally["decode", "error"] > COPIES / 2


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.5, 0.9, 0.99])
def test_a_cut_off_file_is_an_error(clip: bytes, kept: float) -> None:
    with pytest.raises(MediaError):
        lengths(clip[: int(kept * len(clip))])


def test_a_cut_off_header_is_an_error_even_where_one_stream_is_left(clip: bytes) -> None:
    last_track = clip.rindex(b"trak") - 4
    for end in (last_track, last_track + 100, len(clip) - 1):
        with pytest.raises(MediaError, match="its header is cut off"):
            media.probe(clip[:end])


@pytest.mark.parametrize("lost", [b"soun", b"vide", b"smhd", b"vmhd", b"mdia", b"trak", b"minf"])
def test_a_stream_whose_description_is_damaged_is_not_passed_over(clip: bytes, lost: bytes) -> None:
    """FFmpeg makes a track of data of it, or sees none, and the clip would seem to have one stream."""
    at = clip.rindex(lost)
    for damaged in (clip[:at] + bytes(4) + clip[at + 4 :], clip[: at - 4] + bytes(60) + clip[at + 56 :]):
        try:
            info = media.probe(damaged)
        except MediaError:
            continue
        assert info == media.probe(clip)


def test_a_file_whose_media_were_cut_before_an_intact_header_is_an_error(clip: bytes) -> None:
    media_data, header = clip.index(b"mdat") - 4, clip.index(b"moov") - 4
    front = clip[:media_data] + clip[header:]
    for decode in (media.decode_frames, media.decode_sound):
        with pytest.raises(MediaError):
            decode(front)


def test_a_damaged_frame_is_not_painted_over(clip: bytes) -> None:
    middle = clip.index(b"mdat") + (clip.index(b"moov") - clip.index(b"mdat")) // 2
    with pytest.raises(MediaError):
        lengths(clip[:middle] + bytes(600) + clip[middle + 600 :])


def test_two_frames_at_one_time_are_an_error(clip: bytes) -> None:
    at = clip.index(b"ctts") + 12
    counted = int.from_bytes(clip[at - 4 : at], "big")
    offsets = b"".join(
        clip[entry : entry + 4] + bytes(4) if number == 3 else clip[entry : entry + 8]
        for number, entry in enumerate(range(at, at + 8 * counted, 8))
    )
    damaged = clip[:at] + offsets + clip[at + 8 * counted :]
    for make in (media.freeze_video, lambda source: media.join_streams(source, clip)):
        with pytest.raises(MediaError, match="time each of their own"):
            make(damaged)
