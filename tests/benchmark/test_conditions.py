"""Conditions are exact, made once, and the same wherever and whenever they are made."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from avemo_harness import media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import MediaError


def make_clip(seed: int, seconds: float = 1.0) -> Clip:
    rng = np.random.default_rng(seed)
    scene = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    frames = [np.roll(scene, 3 * i, axis=0) for i in range(round(25 * seconds))]
    sound = 0.3 * np.sin(2 * np.pi * (200 + 50 * seed) * np.arange(round(16_000 * seconds)) / 16_000)
    return Clip.from_bytes(media.encode_clip(frames, sound.astype(np.float32)), f"clip {seed}")


@pytest.fixture(scope="module")
def clips() -> tuple[Clip, Clip]:
    return make_clip(1), make_clip(2, seconds=1.4)


@pytest.fixture
def cache(tmp_path: Path) -> ConditionCache:
    return ConditionCache(tmp_path)


def test_full_av_is_the_clip_itself(cache: ConditionCache, clips: tuple[Clip, Clip]) -> None:
    assert cache.full_av(clips[0]) is clips[0]


def test_conditions_are_the_same_in_every_cache(clips: tuple[Clip, Clip], tmp_path: Path) -> None:
    one, other = ConditionCache(tmp_path / "one"), ConditionCache(tmp_path / "other")
    for make in (ConditionCache.audio_only, ConditionCache.video_only):
        assert make(one, clips[0]).sha256 == make(other, clips[0]).sha256
    assert one.conflict(*clips).sha256 == other.conflict(*clips).sha256
    assert one.conflict(*clips).sha256 != one.conflict(*reversed(clips)).sha256


def test_a_condition_is_made_once(cache: ConditionCache, clips: tuple[Clip, Clip], tmp_path: Path) -> None:
    made = cache.audio_only(clips[0])

    def must_not_be_read() -> bytes:
        raise AssertionError("the source was read again")

    unread = Clip(clips[0].sha256, "unread", must_not_be_read)
    again = ConditionCache(tmp_path).audio_only(unread)
    assert again == made
    assert again.read() == made.read()


def test_a_clip_that_the_cache_dropped_is_made_again_with_the_same_bytes(
    cache: ConditionCache, clips: tuple[Clip, Clip]
) -> None:
    made = cache.video_only(clips[0])
    before = made.read()
    cache.max_bytes = 0
    assert cache.prune() == 1
    assert made.read() == before


def test_pruning_drops_what_was_used_longest_ago(
    cache: ConditionCache, clips: tuple[Clip, Clip], tmp_path: Path
) -> None:
    old, new = cache.audio_only(clips[0]), cache.audio_only(clips[1])
    path = next(tmp_path.glob(f"clips/*/{old.sha256}.mp4"))
    os.utime(path, (1, 1))
    cache.max_bytes = len(new.read())
    assert cache.prune() == 1
    assert not path.exists()
    assert next(tmp_path.glob(f"clips/*/{new.sha256}.mp4")).exists()


@pytest.mark.parametrize("noise", ["speech_shaped", "white", "pink", "silence", "rms_matched"])
def test_every_noise_replaces_the_sound_for_as_long_as_the_video(
    cache: ConditionCache, clips: tuple[Clip, Clip], noise: str
) -> None:
    info = media.probe(cache.video_only(clips[0], noise).read())
    assert info.video is not None
    assert info.sound is not None
    assert info.sound.duration_s == pytest.approx(info.video.duration_s, abs=0.07)


def test_a_conflict_ends_with_the_shorter_of_its_two_clips(cache: ConditionCache, clips: tuple[Clip, Clip]) -> None:
    short, long = clips
    for made in (cache.conflict(short, long), cache.conflict(long, short)):
        info = media.probe(made.read())
        assert info.video is not None
        assert info.sound is not None
        assert info.duration_s <= 1.07
        assert abs(info.video.duration_s - info.sound.duration_s) <= 0.04 + 0.064


def test_a_clip_without_the_stream_that_a_condition_needs_is_an_error_that_names_it(cache: ConditionCache) -> None:
    voice = Clip.from_bytes(media.encode_sound(np.zeros(16_000, np.float32)), "dialogue d1, turn 0")
    with pytest.raises(MediaError, match="dialogue d1, turn 0 under audio_only"):
        cache.audio_only(voice)
    with pytest.raises(MediaError, match="dialogue d1, turn 0 under video_only"):
        cache.video_only(voice)
