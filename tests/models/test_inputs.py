"""Clips are seen at a constant rate and heard with their own sound; streams that conditions share are decoded once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.clips import positions
from support.questions import clip, silent_clip, sound_clip
from support.sound_files import SOUND_FORMATS

from avemo_harness import media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import MediaError
from avemo_harness.models.inputs import ClipDecoder, LruCache


def test_frames_come_at_a_constant_rate_with_the_last_one_held() -> None:
    frames = ClipDecoder(2.0).frames(clip(2.6))
    assert frames is not None
    # On show after 0, 0.5, 1, … seconds of 25 frames a second; five of them, and the fifth again.
    assert positions(media.Frames(frames, 2.0)) == [0, 12, 25, 37, 50, 50]


@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.0, 1.4, 3.1])
def test_frames_are_even_in_number_and_at_least_two(seconds: float) -> None:
    frames = ClipDecoder(2.0).frames(clip(seconds))
    assert frames is not None
    assert len(frames) >= 2
    assert len(frames) % 2 == 0
    assert abs(len(frames) / 2 - seconds) <= 1


def test_sound_is_mono_at_16_khz_and_whole() -> None:
    sound = ClipDecoder(2.0).sound(clip(1.7))
    assert sound is not None
    assert (sound.dtype, sound.shape) == (np.float32, (27_200,))


def test_a_missing_stream_is_none() -> None:
    seen, heard = ClipDecoder(2.0).look(silent_clip(1.0)), ClipDecoder(2.0).look(sound_clip(1.0))
    assert seen.frames is not None
    assert seen.sound is None
    assert heard.frames is None
    assert heard.sound is not None


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_a_sound_file_is_heard_whole_and_known_by_its_content(kind: str) -> None:
    one, other, decoder = sound_clip(1.3, 1, kind), sound_clip(1.3, 2, kind), ClipDecoder(2.0)
    view = decoder.look(one)
    assert view.frames is None
    assert view.sound is not None
    assert len(view.sound) == 20_800
    assert decoder.streams(one) == ClipDecoder(2.0).streams(one) != decoder.streams(other)


def test_conditions_share_the_streams_that_they_leave_alone(tmp_path: Path) -> None:
    cache, decoder, one, other = ConditionCache(tmp_path), ClipDecoder(2.0), clip(2.0, 1), clip(2.0, 2)
    whole = decoder.streams(one)
    frozen, noisy = decoder.streams(cache.audio_only(one)), decoder.streams(cache.video_only(one))
    assert (frozen.sound == whole.sound, frozen.video == whole.video) == (True, False)
    assert (noisy.sound == whole.sound, noisy.video == whole.video) == (False, True)
    assert decoder.streams(other) != whole


def test_a_stream_is_decoded_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one, decoder, calls = clip(2.0, 1), ClipDecoder(2.0), list[str]()
    decode = media.decode_sound

    def count(data: bytes, *, rate: int) -> np.ndarray:
        calls.append("decoded")
        return decode(data, rate=rate)

    monkeypatch.setattr(media, "decode_sound", count)
    frozen = ConditionCache(tmp_path).audio_only(one)
    threads = [threading.Thread(target=decoder.prefetch, args=(made,)) for made in (one, frozen) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert decoder.sound(one) is decoder.sound(frozen)
    assert calls == ["decoded"]


def test_a_damaged_clip_is_an_error_that_names_it_and_prefetching_leaves_it() -> None:
    broken, decoder = Clip.from_bytes(b"nothing", "broken.mp4"), ClipDecoder(2.0)
    decoder.prefetch(broken)
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        decoder.look(broken)


def test_known_streams_are_not_prefetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "decode_sound", None)
    monkeypatch.setattr(media, "decode_frames", None)
    ClipDecoder(2.0).prefetch(clip(1.0), known=lambda stream: True)


def test_values_used_longest_ago_go_first() -> None:
    recent: LruCache[str, str] = LruCache(2, len)
    for key in ("a", "b", "a", "c"):
        recent.get(key, lambda key=key: key)
    assert ["a" in recent, "b" in recent, "c" in recent] == [True, False, True]


def test_what_failed_is_made_again() -> None:
    recent: LruCache[str, int] = LruCache(10, lambda value: 1)
    with pytest.raises(ValueError, match="first"):
        recent.get("a", lambda: _fail("first"))
    assert recent.get("a", lambda: 7) == 7


def test_a_value_is_made_once_for_all_that_wait() -> None:
    recent: LruCache[str, int] = LruCache(10, lambda value: 1)
    made: list[int] = []

    def make() -> int:
        time.sleep(0.05)
        made.append(1)
        return 5

    threads = [threading.Thread(target=recent.get, args=("a", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_clearing_forgets() -> None:
    recent: LruCache[str, int] = LruCache(10, lambda value: 1)
    recent.get("a", lambda: 1)
    recent.clear()
    assert "a" not in recent


def test_a_value_that_is_discarded_gives_its_room_back() -> None:
    recent: LruCache[str, str] = LruCache(2, len)
    for key in ("a", "b"):
        recent.get(key, lambda key=key: key)
    recent.discard("a")
    recent.discard("never there")
    recent.get("c", lambda: "c")
    assert ["a" in recent, "b" in recent, "c" in recent] == [False, True, True]


def _fail(words: str) -> int:
    raise ValueError(words)
