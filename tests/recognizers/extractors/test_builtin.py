"""Built-in features: what they follow, and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from support.clips import make_clip, melody

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.data.synthesis.affect import AffectPath, Speaker
from avemo_harness.data.synthesis.voice import RATE, VoiceVariation, control_times, speak
from avemo_harness.errors import MediaError
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.features.builtin import BuiltinFace, BuiltinSound
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
