"""Conditions are exact, made once, and the same wherever and whenever they are made."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.clips import melody
from support.people_clips import flash_and_click
from support.sound_files import SOUND_FORMATS, sound_file

from avemo_harness import files, media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip, Turn
from avemo_harness.benchmark.release_loader import load_release, streams_of
from avemo_harness.data.synthesis.demo import demo_release
from avemo_harness.errors import MediaError, StorageError


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

    unread = Clip(clips[0].sha256, "unread", must_not_be_read, streams_of(clips[0]))
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


def brightest_s(made: bytes) -> float:
    return float(media.decode_frames(made, fps=25.0).pixels.mean(axis=(1, 2, 3)).argmax()) / 25


def loudest_s(made: bytes) -> float:
    return float(np.abs(media.decode_sound(made)).argmax()) / 16_000


@pytest.mark.parametrize(("late_video_s", "late_sound_s"), [(0.0, 0.0), (0.36, 0.0), (0.0, 0.35), (0.6, 0.36)])
def test_a_flash_and_its_click_stay_at_one_moment_under_every_condition(
    cache: ConditionCache, late_video_s: float, late_sound_s: float
) -> None:
    clip = Clip.from_bytes(flash_and_click(late_video_s, late_sound_s), "late")
    other = make_clip(9)
    moment = loudest_s(clip.read())
    assert loudest_s(cache.audio_only(clip).read()) == pytest.approx(moment, abs=0.001)
    assert loudest_s(cache.conflict(clip, Clip.from_bytes(flash_and_click(), "face")).read()) == pytest.approx(moment)
    assert brightest_s(cache.video_only(clip).read()) == pytest.approx(moment, abs=0.04)
    assert brightest_s(cache.conflict(Clip.from_bytes(flash_and_click(), "v"), clip).read()) == pytest.approx(
        moment, abs=0.04
    )
    assert media.probe(cache.conflict(other, clip).read()).duration_s <= 1.07


@pytest.mark.parametrize("late_video_s", [0.0, 0.36])
def test_noise_lasts_until_the_video_ends(cache: ConditionCache, late_video_s: float) -> None:
    made = media.probe(cache.video_only(Clip.from_bytes(flash_and_click(late_video_s), "late")).read())
    assert made.video is not None
    assert made.sound is not None
    assert made.sound.end_s == pytest.approx(made.video.end_s, abs=0.001)
    assert made.sound.start_s == 0.0


def voice(kind: str = "m4a", seconds: float = 1.0) -> Clip:
    """A clip without a picture."""
    return Clip.from_bytes(sound_file(kind, melody(seconds)), "dialogue d1, turn 0")


def face(seed: int = 1) -> Clip:
    """A clip without sound."""
    return Clip.from_bytes(media.remove_sound(make_clip(seed).read()), "dialogue d2, turn 4")


def noise_of(clip: Clip) -> np.ndarray:
    return media.decode_sound(clip.read())


def level_db(sound: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(sound**2))))


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_a_voice_in_any_format_is_joined_with_a_face_without_sound(cache: ConditionCache, kind: str) -> None:
    made = cache.conflict(voice(kind), face()).read()
    assert media.packet_digests(made).video == media.packet_digests(face().read()).video
    heard, spoken = media.decode_sound(made), melody(1.0)
    assert abs(len(heard) - len(spoken)) <= 1024
    shared = min(len(heard), len(spoken))
    assert np.corrcoef(heard[:shared], spoken[:shared])[0, 1] > 0.98


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_a_clip_without_a_picture_is_asked_as_its_sound_whatever_its_format(cache: ConditionCache, kind: str) -> None:
    clip = voice(kind)
    assert cache.audio_only(clip) is clip
    assert streams_of(clip) == {"sound"}


@pytest.mark.parametrize("noise", ["speech_shaped", "white", "pink", "rms_matched"])
def test_a_clip_without_sound_gets_the_same_noise_for_its_duration(cache: ConditionCache, noise: str) -> None:
    made = cache.video_only(face(), noise)
    info = media.probe(made.read())
    assert info.video == media.probe(face().read()).video
    assert media.packet_digests(made.read()).video == media.packet_digests(face().read()).video
    assert info.sound is not None
    assert info.sound.duration_s == pytest.approx(1.0, abs=0.001)
    assert level_db(noise_of(made)) == pytest.approx(-26, abs=0.3)


def test_the_noise_of_a_clip_without_sound_is_the_same_in_every_cache(tmp_path: Path) -> None:
    one, other = (ConditionCache(tmp_path / name).video_only(face()) for name in ("one", "other"))
    assert one.read() == other.read()
    assert ConditionCache(tmp_path / "one").video_only(face(2)).sha256 != one.sha256


@pytest.mark.parametrize(
    ("lacks", "make"),
    [
        ("dialogue d2, turn 4: it has no sound, which audio_only needs", lambda cache: cache.audio_only(face())),
        ("dialogue d1, turn 0: it has no picture, which video_only needs", lambda cache: cache.video_only(voice())),
        ("dialogue d2, turn 4: it has no sound, which conflict needs", lambda cache: cache.conflict(face(), face())),
        (
            "dialogue d1, turn 0: it has no picture, which conflict needs",
            lambda cache: cache.conflict(voice(), voice()),
        ),
    ],
)
def test_a_clip_without_the_stream_that_a_condition_needs_is_an_error_that_names_both(
    cache: ConditionCache, lacks: str, make: Callable[[ConditionCache], Clip]
) -> None:
    for _ in range(2):
        with pytest.raises(MediaError, match=lacks):
            make(cache)


def test_an_earlier_turn_with_both_streams_is_shown_as_it_was_asked(
    cache: ConditionCache, clips: tuple[Clip, Clip]
) -> None:
    assert cache.shown(clips[0], "audio_only") == cache.audio_only(clips[0])
    assert cache.shown(clips[0], "video_only", "pink") == cache.video_only(clips[0], "pink")
    assert cache.shown(clips[0], "full_av") is clips[0]


def test_an_earlier_turn_is_shown_with_the_streams_that_it_has(cache: ConditionCache) -> None:
    said = voice("wav")
    assert cache.shown(said, "audio_only") is said
    still = media.decode_frames(cache.shown(face(), "audio_only").read()).pixels
    assert len(still) == 25
    assert (still == still[0]).all()
    assert streams_of(cache.shown(face(), "audio_only")) == {"picture"}
    assert cache.shown(face(), "video_only") == cache.video_only(face())
    for silent_or_heard in (face(), said):
        assert cache.shown(silent_or_heard, "conflict") is silent_or_heard


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_no_word_of_an_earlier_turn_without_a_picture_is_heard_under_video_only(
    cache: ConditionCache, kind: str
) -> None:
    said = voice(kind, 1.3)
    shown = cache.shown(said, "video_only")
    assert streams_of(shown) == {"sound"}
    spoken, noise = noise_of(said), noise_of(shown)
    assert len(noise) == len(spoken)
    assert abs(np.corrcoef(spoken, noise)[0, 1]) < 0.05
    assert level_db(noise) == pytest.approx(-26, abs=0.3)


@pytest.mark.parametrize("size", [0, 30, 300])
def test_a_file_of_the_cache_that_was_cut_is_made_again(
    cache: ConditionCache, clips: tuple[Clip, Clip], tmp_path: Path, size: int
) -> None:
    made = cache.audio_only(clips[0])
    before = made.read()
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.write_bytes(path.read_bytes()[:size])
        assert ConditionCache(tmp_path).audio_only(clips[0]).read() == before


def test_a_cache_that_can_only_be_read_serves_as_any_other(
    cache: ConditionCache, clips: tuple[Clip, Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cache.audio_only(clips[0]).read()

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for call in ("utime", "replace", "mkdir"):
        monkeypatch.setattr(os, call, refuse)
    assert cache.audio_only(clips[0]).read() == before


def test_a_file_of_the_cache_that_cannot_be_read_or_made_again_is_named(
    cache: ConditionCache, clips: tuple[Clip, Clip], tmp_path: Path
) -> None:
    made = cache.audio_only(clips[0])
    (path,) = tmp_path.glob("clips/*/*.mp4")
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match=f"{path}: cannot be written .* a folder is where a file should be"):
        made.read()


def test_a_clip_that_cannot_be_read_is_an_error_that_names_it(cache: ConditionCache) -> None:
    broken = Clip.from_bytes(b"nothing", "dialogue d3, turn 2")
    for make in (cache.audio_only, cache.video_only, lambda clip: cache.shown(clip, "audio_only")):
        with pytest.raises(MediaError, match="dialogue d3, turn 2"):
            make(broken)


CHANCE_BAND = (0.16, 0.34)
"""Holds 99 % of the accuracies of guessing 160 times among four."""


def describe(samples: np.ndarray) -> np.ndarray:
    """Level, and the energy in eight bands, in decibels."""
    power = np.abs(np.fft.rfft(samples)) ** 2 / len(samples)
    bands = [band.mean() for band in np.array_split(power, 8)]
    return 10 * np.log10(np.array([np.mean(samples**2), *bands]) + 1e-12)


@pytest.fixture(scope="module")
def parts() -> tuple[list[Turn], list[Turn]]:
    """The user turns of the demo's train part and of its test part."""
    releases = [load_release(str(demo_release(files.cache_dir())), "demo", split) for split in ("train", "test")]
    train, test = ([t for d in release.dialogues for t in d.turns if t.role == "user"] for release in releases)
    return train, test


def accuracy_from_sound(parts: tuple[list[Turn], list[Turn]], condition: Callable[[Clip], Clip]) -> float:
    """Of logistic regression that hears the clips after a condition, trained on the one part, on the other."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = (
        np.stack([describe(media.decode_sound(condition(turn.clip).read())) for turn in turns]) for turns in parts
    )
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=3000))
    classifier.fit(train, [turn.emotion for turn in parts[0]])
    return float(classifier.score(test, [turn.emotion for turn in parts[1]]))


@pytest.mark.slow
def test_the_noise_tells_nothing(parts: tuple[list[Turn], list[Turn]], tmp_path: Path) -> None:
    accuracy = accuracy_from_sound(parts, ConditionCache(tmp_path).video_only)
    assert CHANCE_BAND[0] < accuracy < CHANCE_BAND[1]


@pytest.mark.slow
def test_the_voice_in_its_place_is_told_by_the_same_few_numbers(
    parts: tuple[list[Turn], list[Turn]], tmp_path: Path
) -> None:
    assert accuracy_from_sound(parts, ConditionCache(tmp_path).full_av) > CHANCE_BAND[1]


@pytest.mark.parametrize("left", [0, 500])
def test_clips_do_not_wait_for_the_disk_and_one_that_a_crash_has_cut_is_made_again(
    left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: pytest.fail("nothing that can be made again waits for the disk"))
    clip = Clip.from_bytes(media.encode_sound(media.decode_sound(make_clip(77).read())))
    whole = ConditionCache(tmp_path).shown(clip, "video_only").read()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            os.truncate(file, min(left, file.stat().st_size))
    assert ConditionCache(tmp_path).shown(clip, "video_only").read() == whole
