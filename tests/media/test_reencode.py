"""A clip of any container is encoded anew with the streams that it has, as every program reads them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.clips import make_clip, melody
from support.people_clips import browser_recording, odd_clip, turned_clip
from support.sound_files import sound_file

from avemo_harness import media
from avemo_harness.errors import MediaError


@pytest.mark.parametrize("made", [lambda: browser_recording(0.4), odd_clip, lambda: turned_clip(90)])
def test_a_clip_becomes_an_mp4_upright_and_of_even_size(made: Callable[[], bytes]) -> None:
    before, data = media.probe(made()), media.reencode(made())
    after = media.probe(data)
    assert media.sound_container(data) == "MP4"
    assert before.video is not None
    assert after.video is not None
    assert after.sound is not None
    size = (after.video.width, after.video.height)
    assert size == (before.video.width // 2 * 2, before.video.height // 2 * 2)
    assert (after.video.fps, after.video.quarter_turns, after.sound.rate) == (25, 0, 16_000)
    assert media.decode_frames(data).pixels.shape[1:3] == size[::-1]


def test_a_stream_that_a_clip_lacks_is_not_made_up() -> None:
    seen = media.probe(media.reencode(media.remove_sound(make_clip(0.4))))
    heard = media.probe(media.reencode(sound_file("ogg", melody(0.4))))
    assert seen.video is not None
    assert seen.sound is None
    assert heard.video is None
    assert heard.sound is not None


def test_a_damaged_clip_is_refused() -> None:
    with pytest.raises(MediaError):
        media.reencode(make_clip(0.4)[:2_000])
