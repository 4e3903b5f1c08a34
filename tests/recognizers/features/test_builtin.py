"""Built-in extractors, by half second and by clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recognizers.signals import face, onset, syllables, tone
from support.clips import make_clip, melody
from support.sound_files import SOUND_FORMATS, sound_file

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.data.synthesis.affect import AffectPath, Speaker
from avemo_harness.data.synthesis.voice import RATE, VoiceVariation, control_times, speak
from avemo_harness.errors import MediaError
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.features.builtin import BuiltinFace, BuiltinSound, clip_features
from avemo_harness.recognizers.features.sound import sound_features
from avemo_harness.recognizers.recordings import Recording

LENGTH_S = 2.5


def voice(valence: float, arousal: float) -> np.ndarray:
    path = AffectPath(valence, arousal, (0.0, 0.0), (0.0, 0.0)).at(control_times(LENGTH_S))
    habits = VoiceVariation(level_db=0, pitch_semitones=0, brightness_db=0, tempo=1, liveliness=1, noise_db=-60)
    text = "Tell me what happened at work today."
    return speak(text, Speaker.draw("a", 4), path, habits, np.random.default_rng(1)).samples


def streams(samples: np.ndarray) -> Recording:
    return Recording.of(Clip.from_bytes(media.encode_sound(samples.astype(np.float32), RATE)))


def describe(samples: np.ndarray, count: int = 5) -> Features:
    return BuiltinSound().extract(streams(samples), count, "audio")


def test_sound_is_two_finite_rows_a_second_of_the_stated_width() -> None:
    rows = describe(voice(0.5, 0.5))
    assert (rows.shape, rows.dtype) == ((5, BuiltinSound.width), np.float32)
    assert np.isfinite(rows).all()


def test_it_does_not_matter_how_loud_a_recording_is() -> None:
    samples = voice(0.2, 0.8)
    assert np.abs(describe(samples / 4) - describe(samples)).mean() < 0.05


def test_an_excited_voice_is_described_otherwise_than_a_weary_one() -> None:
    excited, again, weary = (describe(voice(0.2, arousal)) for arousal in (0.9, 0.9, 0.2))
    np.testing.assert_array_equal(excited, again)
    assert np.abs(excited - weary).mean() > 0.2


def test_a_row_in_silence_describes_the_speech_that_is_nearest() -> None:
    samples = voice(0.2, 0.8)
    silence = np.zeros(2 * RATE)
    padded = describe(np.concatenate([silence, samples, silence]), 13)
    speech = describe(samples)
    assert np.abs(padded[1] - padded[3]).max() < 1e-5
    spread = np.abs(speech - speech.mean(axis=0)).max()
    assert np.abs(padded[0] - speech[0]).max() < 2 * spread
    assert np.abs(padded[12] - speech[-1]).max() < 2 * spread


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.zeros(800), 0.3 * np.ones(200)])
def test_silence_and_the_shortest_sound_are_finite(samples: np.ndarray) -> None:
    rows = describe(samples, 3)
    assert rows.shape[0] == 3
    assert np.isfinite(rows).all()


def test_rows_beyond_the_end_are_finite_and_a_longer_count_changes_none_before() -> None:
    samples = voice(0.5, 0.5)
    np.testing.assert_array_equal(describe(samples, 9)[:5], describe(samples, 5))


def test_a_face_is_two_finite_rows_a_second_of_the_stated_width() -> None:
    clip = Recording.of(Clip.from_bytes(make_clip(2.0, seed=1)))
    rows = BuiltinFace().extract(clip, 4, "video")
    assert rows.shape == (4, BuiltinFace.width)
    assert np.isfinite(rows).all()
    np.testing.assert_array_equal(BuiltinFace().extract(clip, 4, "both"), rows)


def test_a_stream_that_is_not_there_is_told() -> None:
    heard = Recording.of(Clip.from_bytes(media.encode_sound(melody(1.0, seed=2), RATE)))
    with pytest.raises(MediaError, match="builtin-face: the recording has no video"):
        BuiltinFace().extract(heard, 2, "video")
    with pytest.raises(MediaError, match="builtin-sound: the recording has no sound"):
        BuiltinSound().extract(Recording(None, heard.sound, 1.0), 2, "audio")


def test_both_are_made_by_name() -> None:
    assert make_extractor("builtin-sound").identity()["extractor"] == "builtin-sound"
    assert make_extractor("builtin-face").modality == "video"


@pytest.fixture(scope="module")
def clip() -> bytes:
    return make_clip(1.0)


@pytest.mark.parametrize("name", ["clip-sound", "clip-face"])
def test_every_row_describes_the_whole_clip(clip: bytes, name: str) -> None:
    extractor = make_extractor(name)
    rows = extractor.extract(Recording.of(Clip.from_bytes(clip)), 3, "both")
    assert (rows.shape, rows.dtype) == ((3, extractor.width), np.float32)
    found = clip_features(clip)
    expected = found.sound if extractor.modality == "audio" else found.face
    assert expected is not None
    np.testing.assert_allclose(rows, [expected.values] * 3, rtol=1e-6, atol=1e-6)


def test_a_stream_that_is_not_there_is_told_of_clip_extractors(clip: bytes) -> None:
    whole = Recording.of(Clip.from_bytes(clip))
    sound = Recording.of(Clip.from_bytes(media.encode_sound(melody(1.0))))
    with pytest.raises(MediaError, match="has no video"):
        make_extractor("clip-face").extract(sound, 2, "both")
    with pytest.raises(MediaError, match="has no sound"):
        make_extractor("clip-sound").extract(Recording(None, whole.face, 1.0), 2, "both")


VOICE = syllables(tone(180.0, 2.4), 4.0)
FRAMES = face(np.repeat(onset(1.0, 20), 3))


@pytest.fixture(scope="module")
def talking_clip() -> bytes:
    return media.encode_clip(FRAMES, VOICE)


def test_a_clip_with_both_streams_speaks_and_moves(talking_clip: bytes) -> None:
    features = clip_features(talking_clip)
    assert features.sound is not None
    assert features.face is not None
    assert features.sound.has_speech
    assert features.face.is_live


def test_the_sound_is_described_as_it_decodes(talking_clip: bytes) -> None:
    features = clip_features(talking_clip)
    assert features.sound is not None
    np.testing.assert_array_equal(features.sound.values, sound_features(media.decode_sound(talking_clip)).values)


def test_a_path_and_its_bytes_give_the_same_features(talking_clip: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(talking_clip)
    one, other = clip_features(path), clip_features(talking_clip)
    assert one.sound is not None
    assert other.sound is not None
    np.testing.assert_array_equal(one.sound.values, other.sound.values)


def test_a_clip_without_video_has_no_face() -> None:
    features = clip_features(media.encode_sound(VOICE))
    assert features.face is None
    assert features.sound is not None


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_a_sound_file_is_described_as_it_decodes(kind: str) -> None:
    data = sound_file(kind, VOICE)
    features = clip_features(data)
    assert features.face is None
    assert features.sound is not None
    assert features.sound.has_speech
    np.testing.assert_array_equal(features.sound.values, sound_features(media.decode_sound(data)).values)


def test_a_silent_film_has_no_sound(real_media: Path) -> None:
    features = clip_features(real_media / "mead_faces" / "W009_front_happy_level3_001.mp4")
    assert features.sound is None
    assert features.face is not None


def test_the_conditions_take_away_exactly_one_stream(talking_clip: bytes) -> None:
    noise = media.make_noise("speech_shaped", len(VOICE), rate=16_000, seed=0)
    hushed, frozen = (
        clip_features(media.replace_sound(talking_clip, noise)),
        clip_features(media.freeze_video(talking_clip)),
    )
    assert hushed.sound is not None
    assert hushed.face is not None
    assert (hushed.sound.has_speech, hushed.face.is_live) == (False, True)
    assert frozen.sound is not None
    assert frozen.face is not None
    assert (frozen.sound.has_speech, frozen.face.is_live) == (True, False)


def test_a_damaged_clip_is_a_media_error(talking_clip: bytes) -> None:
    with pytest.raises(MediaError, match="sha256"):
        clip_features(talking_clip[: len(talking_clip) // 2])
