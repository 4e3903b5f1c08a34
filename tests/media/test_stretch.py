"""Stretches of a recording hold the frames and the sound of their time, whatever the header says."""

from __future__ import annotations

import numpy as np
import pytest
from support.clips import RATE, make_clip, positions
from support.flash import flash_clip

from avemo_harness import media
from avemo_harness.errors import MediaError


def test_a_stretch_holds_the_frames_of_its_time() -> None:
    clip = make_clip(4.0)
    whole = positions(media.decode_frames(clip))
    cut = np.stack(list(media.stretch_frames(clip, 1.2, 2.0)))
    assert positions(media.Frames(cut, 25.0)) == whole[30:50]


def test_a_stretch_holds_the_sound_of_its_time() -> None:
    clip = make_clip(4.0)
    whole, cut = media.decode_sound(clip), media.stretch_sound(clip, 1.2, 2.0)
    assert len(cut) == 0.8 * RATE
    assert np.corrcoef(whole[round(1.2 * RATE) :][: len(cut)], cut)[0, 1] > 0.99


def test_without_an_end_the_whole_clip_is_read() -> None:
    clip = make_clip(1.0)
    assert len(list(media.stretch_frames(clip))) == 25
    assert len(media.stretch_sound(clip)) == pytest.approx(RATE, abs=1500)


def test_a_container_of_rough_durations_is_read_to_its_end() -> None:
    clip = flash_clip(1.2)
    frames = np.stack(list(media.stretch_frames(clip)))
    # The sound's first packet, which holds no sound yet, begins up to 64 ms before the video.
    assert len(frames) == pytest.approx(30, abs=2)
    found = positions(media.Frames(frames, 25.0))
    assert np.abs(np.array(found) - np.arange(len(found))).max() <= 2
    assert len(media.stretch_sound(clip)) / RATE == pytest.approx(1.2, abs=0.1)


def test_a_stretch_beyond_the_end_is_an_error() -> None:
    clip = make_clip(2.0)
    with pytest.raises(MediaError, match=r"its video ends at 1\.96 s, expected were 3\.00 s"):
        list(media.stretch_frames(clip, 1.0, 3.0))
    with pytest.raises(MediaError, match="its sound ends at"):
        media.stretch_sound(clip, 1.0, 3.0)


def test_a_clip_that_breaks_off_is_an_error() -> None:
    clip = flash_clip(2.0)
    with pytest.raises(MediaError):
        list(media.stretch_frames(clip[: len(clip) // 2]))
