"""Features of sound: what they must not depend on, what they must tell apart, and who speaks at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from recognizers.signals import RATE, syllables, tone, vibrato

from avemo_harness import media
from avemo_harness.recognizers.features.sound import SPEECH_SHARE, sound_features

VOICE = syllables(tone(vibrato(180.0, 2.0, 3.0), 3.0), rate_hz=4.0)


@pytest.mark.parametrize("gain_db", [-30.0, -12.0, 6.0])
def test_the_level_of_the_recording_does_not_matter(gain_db: float) -> None:
    louder = (VOICE * 10 ** (gain_db / 20)).astype(np.float32)
    np.testing.assert_allclose(sound_features(louder).values, sound_features(VOICE).values, atol=0.02)


def test_saying_it_twice_changes_little() -> None:
    once, twice = sound_features(VOICE), sound_features(np.tile(VOICE, 2))
    assert np.abs(once.values - twice.values).mean() < 0.05


@settings(max_examples=60)
@given(arrays(np.float32, st.integers(0, 4000), elements=st.floats(-1, 1, width=32)))
def test_every_sound_gives_a_finite_row_of_the_same_length(samples: np.ndarray) -> None:
    features = sound_features(samples)
    assert features.values.shape == sound_features(VOICE).values.shape
    assert features.values.dtype == np.float64
    assert np.isfinite(features.values).all()
    assert 0 <= features.voiced_share <= 1


def test_the_same_sound_always_gives_the_same_row() -> None:
    np.testing.assert_array_equal(sound_features(VOICE).values, sound_features(VOICE.copy()).values)


def test_pitch_brightness_and_speed_show_in_the_row() -> None:
    plain = sound_features(VOICE).values
    others = {
        "higher": syllables(tone(vibrato(240.0, 2.0, 3.0), 3.0), 4.0),
        "livelier": syllables(tone(vibrato(180.0, 4.0, 3.0), 3.0), 4.0),
        "faster": syllables(tone(vibrato(180.0, 2.0, 3.0), 3.0), 6.0),
        "brighter": np.diff(VOICE, prepend=np.float32(0)),
    }
    for name, samples in others.items():
        assert np.abs(sound_features(samples).values - plain).max() > 0.1, name


@pytest.mark.parametrize("kind", ["white", "pink", "speech_shaped", "rms_matched", "silence"])
def test_noise_and_silence_are_not_speech(kind: media.NoiseKind) -> None:
    for seed in range(8):
        noise = media.make_noise(kind, 3 * RATE, rate=RATE, seed=seed, reference=VOICE)
        coded = media.decode_sound(media.encode_sound(noise))
        assert sound_features(noise).voiced_share < SPEECH_SHARE / 5
        assert sound_features(coded).voiced_share < SPEECH_SHARE / 5


def test_a_voice_is_speech_also_after_coding_and_in_moderate_noise() -> None:
    noise = media.make_noise("speech_shaped", len(VOICE), rate=RATE, seed=3) * 0.3
    for samples in (VOICE, media.decode_sound(media.encode_sound(VOICE)), VOICE + noise):
        assert sound_features(samples).voiced_share > 5 * SPEECH_SHARE


def test_every_real_voice_is_speech(real_media: Path) -> None:
    paths = sorted(real_media.glob("ravdess_speech/*/*.flac"))[::8]
    shares = [sound_features(media.read_sound_file(path)[0]).voiced_share for path in paths]
    assert len(shares) > 30
    assert min(shares) > 1.5 * SPEECH_SHARE


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 100), dtype=np.float32), np.array([0.0, np.nan], dtype=np.float32)], ids=["stereo", "nan"]
)
def test_what_is_not_one_finite_channel_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one channel of finite samples"):
        sound_features(samples)
