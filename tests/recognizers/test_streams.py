"""The streams of a recording, whether one file holds both or each has its own."""

from __future__ import annotations

import numpy as np
import pytest
from support.clips import make_clip, melody

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import MediaError
from avemo_harness.recognizers.recordings import Recording


def test_a_clip_with_both_streams_can_be_shown_whole_or_either_way() -> None:
    clip = Clip.from_bytes(make_clip(1.2, seed=1))
    streams = Recording.of(clip)
    assert (streams.sound, streams.face) == (clip, clip)
    assert streams.views == ("both", "audio", "video")
    assert streams.duration_s == pytest.approx(1.2, abs=0.05)


def test_a_recording_of_sound_alone_can_only_be_heard() -> None:
    streams = Recording.of(Clip.from_bytes(media.encode_sound(melody(1.0, seed=2), 16_000)))
    assert streams.face is None
    assert streams.views == ("audio",)
    assert Recording(None, streams.sound, 1.0).views == ("video",)
    assert Recording(None, None, 1.0).views == ()


def test_what_is_no_recording_is_an_error() -> None:
    with pytest.raises(MediaError):
        Recording.of(Clip.from_bytes(np.arange(64, dtype=np.uint8).tobytes()))
