"""Sound and picture share one clock, wherever and however late each of them begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.clips import melody, positions
from support.people_clips import (
    FLASH_S,
    browser_recording,
    clip_without_edit_list,
    flash_and_click,
    piped_wave,
    recorded,
    turned_clip,
    uneven_clip,
)

from avemo_harness import media
from avemo_harness.errors import MediaError

FRAME_S = 0.04
PRIMING_S = 0.07
"""An AAC frame at 16 kHz, with which writers of sound that begins late let it begin earlier."""


def flash_s(clip: bytes) -> float:
    """When the flash is seen, in seconds after the clip's beginning."""
    brightness = media.decode_frames(clip, fps=25.0).pixels.mean(axis=(1, 2, 3))
    assert brightness.max() > 100
    return float(brightness.argmax()) / 25


def click_s(clip: bytes) -> float:
    """When the click is heard, in seconds after the clip's beginning."""
    return float(np.abs(media.decode_sound(clip)).argmax()) / 16_000


LATE = [(0.0, 0.0), (0.36, 0.0), (0.0, 0.35), (0.6, 0.36)]


@pytest.mark.parametrize(("video_s", "sound_s"), LATE)
def test_a_flash_and_its_click_are_at_one_moment(video_s: float, sound_s: float) -> None:
    clip = flash_and_click(video_s, sound_s)
    moment = click_s(clip)
    assert moment == pytest.approx(FLASH_S - min(video_s, sound_s), abs=PRIMING_S)
    assert flash_s(clip) == pytest.approx(moment, abs=FRAME_S)
    every = media.decode_frames(clip)
    assert every.pixels.mean(axis=(1, 2, 3)).argmax() / every.fps == pytest.approx(moment, abs=FRAME_S)


@pytest.mark.parametrize(("video_s", "sound_s"), LATE)
def test_stretches_keep_the_same_clock(video_s: float, sound_s: float) -> None:
    clip = flash_and_click(video_s, sound_s)
    frames = np.stack(list(media.stretch_frames(clip))).mean(axis=(1, 2, 3))
    sound = media.stretch_sound(clip)
    assert frames.argmax() / 25 == pytest.approx(click_s(clip), abs=FRAME_S)
    assert np.abs(sound).argmax() / 16_000 == pytest.approx(click_s(clip), abs=0.001)


def test_the_stream_that_begins_later_is_told(clip: bytes) -> None:
    late = media.probe(flash_and_click(0.36, 0.0))
    assert late.video is not None
    assert late.sound is not None
    assert late.video.start_s == pytest.approx(0.36)
    assert late.sound.start_s == 0.0
    assert late.video.duration_s == pytest.approx(1.64)
    assert late.video.end_s == pytest.approx(2.0)
    assert late.duration_s == pytest.approx(2.0, abs=0.03)
    whole = media.probe(clip)
    assert whole.video is not None
    assert whole.sound is not None
    assert (whole.video.start_s, whole.sound.start_s) == (0.0, 0.0)


@pytest.mark.parametrize(("video_s", "sound_s"), LATE)
def test_copied_packets_keep_the_clock(video_s: float, sound_s: float) -> None:
    clip = flash_and_click(video_s, sound_s)
    assert click_s(media.freeze_video(clip)) == pytest.approx(click_s(clip), abs=0.001)
    assert flash_s(media.replace_sound(clip, melody(2.0))) == pytest.approx(click_s(clip), abs=FRAME_S)


def test_each_side_of_a_pair_keeps_its_own_clock() -> None:
    plain, both_late = flash_and_click(), flash_and_click(0.6, 0.36)
    assert flash_s(media.join_streams(both_late, plain)) == pytest.approx(click_s(both_late), abs=FRAME_S)
    assert click_s(media.join_streams(plain, both_late)) == pytest.approx(click_s(both_late), abs=0.001)


def test_a_sound_that_begins_behind_the_videos_end_is_no_pair() -> None:
    late = flash_and_click(late_sound_s=1.2)
    short = recorded([np.zeros((64, 96, 3), np.uint8)] * 10)
    with pytest.raises(MediaError, match="begins after the video's end"):
        media.join_streams(short, late)


def test_frames_of_a_variable_rate_with_b_frames_end_with_the_clip() -> None:
    clip = uneven_clip()
    info = media.probe(clip)
    ticks = [tick for tick in range(50) if tick % 7 not in (1, 2)]
    assert positions(media.decode_frames(clip)) == ticks
    on_show = [max(tick for tick in ticks if tick <= frame) for frame in range(50)]
    assert positions(media.decode_frames(clip, fps=25.0)) == on_show
    frozen = media.probe(media.freeze_video(clip))
    assert info.video is not None
    assert frozen.video is not None
    assert info.video.duration_s == frozen.video.duration_s == pytest.approx(2.0, abs=0.001)
    for made in (media.replace_sound(clip, melody(2.0)), media.join_streams(clip, clip)):
        assert positions(media.decode_frames(made)) == ticks


def test_priming_without_an_edit_list_is_no_damage() -> None:
    clip = clip_without_edit_list()
    info = media.probe(clip)
    assert info.video is not None
    late = info.video.start_s
    assert late > 0
    assert positions(media.decode_frames(clip)) == [0] * round(late * 25) + list(range(50))
    heard, played = media.decode_sound(clip)[round(late * 16_000) :], melody(2.0)
    shared = min(len(heard), len(played))
    assert shared > len(played) - 1024
    assert np.corrcoef(heard[:shared], played[:shared])[0, 1] > 0.98


@pytest.mark.parametrize("codec", ["aac", "libmp3lame"])
def test_priming_in_matroska_is_no_damage(codec: str) -> None:
    clip = recorded([np.zeros((64, 96, 3), np.uint8)] * 50, melody(2.0, 48_000), rate=48_000, codecs=("libx264", codec),
                    container="matroska")  # fmt: skip
    heard, played = media.decode_sound(clip), melody(2.0)
    assert abs(len(heard) - len(played)) < 500
    shared = min(len(heard), len(played))
    assert np.corrcoef(heard[:shared], played[:shared])[0, 1] > 0.98


def test_a_recording_without_a_duration_is_counted() -> None:
    clip = browser_recording()
    info = media.probe(clip)
    assert info.video is not None
    assert info.sound is not None
    assert (info.video.frames, info.video.fps) == (50, 25.0)
    assert info.video.duration_s == pytest.approx(2.0)
    assert info.sound.duration_s == pytest.approx(2.0, abs=0.03)
    assert positions(media.decode_frames(clip)) == list(range(50))
    assert len(media.decode_sound(clip)) == pytest.approx(32_000, abs=500)


def test_limits_hold_for_a_recording_without_a_duration() -> None:
    clip = browser_recording()
    for limits in (replace(media.DEFAULT_LIMITS, max_seconds=1.0), replace(media.DEFAULT_LIMITS, max_packets=10)):
        with pytest.raises(MediaError, match="cut the clip"):
            media.probe(clip, limits)


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x7FFF_F000])
@pytest.mark.parametrize("riff", [0, 0xFFFF_FFFF])
def test_a_wave_file_out_of_a_pipe_is_whole(size: int, riff: int, tmp_path: Path) -> None:
    sound = media.write_wave(melody(1.3), 16_000)
    piped = piped_wave(sound, riff, size)
    (tmp_path / "piped.wav").write_bytes(piped)
    for source in (piped, tmp_path / "piped.wav"):
        np.testing.assert_array_equal(media.decode_sound(source), media.decode_sound(sound))
        assert media.probe(source) == media.probe(sound)


def test_a_wave_file_that_is_cut_off_is_damaged() -> None:
    sound = media.write_wave(melody(1.3), 16_000)
    with pytest.raises(MediaError):
        media.decode_sound(sound[:-4000])


@pytest.mark.parametrize(("degrees", "bright"), [(90, np.s_[:, :32]), (180, np.s_[32:]), (270, np.s_[:, 32:])])
def test_a_turned_video_is_given_upright_in_stretches(degrees: int, bright: tuple[slice, ...]) -> None:
    clip = turned_clip(degrees)
    frame = next(iter(media.stretch_frames(clip)))
    info = media.probe(clip)
    assert info.video is not None
    assert frame.shape == (info.video.height, info.video.width, 3) == ((64, 96, 3) if degrees == 180 else (96, 64, 3))
    assert frame[bright].mean() > 240
    assert frame.mean() == pytest.approx(127, abs=8)


def test_a_mirrored_video_is_refused() -> None:
    clip = bytearray(turned_clip(180))
    at = clip.index(b"tkhd") + 4 + 40
    assert clip[at : at + 4] == (-65536).to_bytes(4, "big", signed=True)
    clip[at : at + 4] = (65536).to_bytes(4, "big")
    with pytest.raises(MediaError, match="mirrored"):
        media.probe(bytes(clip))
