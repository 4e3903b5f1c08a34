"""A clip's features are those of its decoded streams; a stream that is not there has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recognizers.signals import face, onset, syllables, tone
from support.sound_files import SOUND_FORMATS, sound_file

from avemo_harness import media
from avemo_harness.errors import MediaError
from avemo_harness.recognizers.features.builtin import clip_features
from avemo_harness.recognizers.features.sound import sound_features

VOICE = syllables(tone(180.0, 2.4), 4.0)
FRAMES = face(np.repeat(onset(1.0, 20), 3))


@pytest.fixture(scope="module")
def clip() -> bytes:
    return media.encode_clip(FRAMES, VOICE)


def test_a_clip_with_both_streams_speaks_and_moves(clip: bytes) -> None:
    features = clip_features(clip)
    assert features.sound is not None
    assert features.face is not None
    assert features.sound.has_speech
    assert features.face.is_live


def test_the_sound_is_described_as_it_decodes(clip: bytes) -> None:
    features = clip_features(clip)
    assert features.sound is not None
    np.testing.assert_array_equal(features.sound.values, sound_features(media.decode_sound(clip)).values)


def test_a_path_and_its_bytes_give_the_same_features(clip: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip)
    one, other = clip_features(path), clip_features(clip)
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


def test_the_conditions_take_away_exactly_one_stream(clip: bytes) -> None:
    noise = media.make_noise("speech_shaped", len(VOICE), rate=16_000, seed=0)
    hushed, frozen = clip_features(media.replace_sound(clip, noise)), clip_features(media.freeze_video(clip))
    assert hushed.sound is not None
    assert hushed.face is not None
    assert (hushed.sound.has_speech, hushed.face.is_live) == (False, True)
    assert frozen.sound is not None
    assert frozen.face is not None
    assert (frozen.sound.has_speech, frozen.face.is_live) == (True, False)


def test_a_damaged_clip_is_a_media_error(clip: bytes) -> None:
    with pytest.raises(MediaError, match="sha256"):
        clip_features(clip[: len(clip) // 2])
