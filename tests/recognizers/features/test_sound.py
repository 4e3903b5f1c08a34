"""Sound features: spectra, pitch, and the functionals of an utterance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from recognizers.signals import RATE, syllables, tone, vibrato

from avemo_harness import media
from avemo_harness.media import make_noise
from avemo_harness.recognizers.features.sound import (
    FLOOR_DB,
    SPEECH_SHARE,
    PitchTrack,
    bin_frequencies,
    cosine_basis,
    decibels,
    frame_window,
    mel_bank,
    power_spectra,
    sound_features,
    track_pitch,
)


def sine(hz: float, amplitude: float = 0.3) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)).astype(np.float32)


@pytest.mark.parametrize("hz", [125.0, 1000.0, 4500.0])
def test_a_sine_peaks_at_its_frequency(hz: float) -> None:
    power = power_spectra(sine(hz))
    assert np.all(np.abs(bin_frequencies()[power.argmax(axis=1)] - hz) <= RATE / 1024)


def test_a_second_has_a_hundred_frames_less_the_ones_that_do_not_fit() -> None:
    assert power_spectra(sine(100.0)).shape == (96, 513)


def test_spectra_are_relative_to_the_loudest_frame() -> None:
    np.testing.assert_allclose(power_spectra(sine(300.0, 0.5)), power_spectra(sine(300.0, 0.005)), atol=1e-6)
    assert power_spectra(sine(300.0)).sum(axis=1).max() == pytest.approx(1.0, abs=1e-5)


def test_silence_is_at_the_floor() -> None:
    assert decibels(power_spectra(np.zeros(RATE, dtype=np.float32))).max() == pytest.approx(FLOOR_DB)


def test_mel_filters_rise_to_one_in_order_and_leave_no_gap() -> None:
    bank = mel_bank()
    assert np.all(np.diff(bank.argmax(axis=1)) > 0)
    assert np.all((bank >= 0) & (bank <= 1))
    inside = (bin_frequencies() > 100) & (bin_frequencies() < 7000)
    assert np.all(bank[:, inside].sum(axis=0) > 0.4)


def test_filters_are_as_wide_as_the_mel_scale_says() -> None:
    centres = bin_frequencies()[mel_bank().argmax(axis=1)]
    mel = 2595 * np.log10(1 + centres / 700)
    np.testing.assert_allclose(np.diff(mel), np.diff(mel).mean(), atol=16)


def test_cepstral_rows_are_orthonormal_and_ignore_the_level() -> None:
    basis = cosine_basis()
    np.testing.assert_allclose(basis @ basis.T, np.eye(12), atol=1e-12)
    np.testing.assert_allclose(basis.sum(axis=1), 0, atol=1e-12)


def pitch_of(samples: np.ndarray) -> PitchTrack:
    return track_pitch(power_spectra(samples), frame_window(), RATE)


@settings(max_examples=40)
@given(st.floats(70.0, 480.0))
def test_the_pitch_of_a_steady_tone_is_right_to_one_percent(hz: float) -> None:
    track = pitch_of(tone(hz, 0.5))
    assert track.voiced.all()
    np.testing.assert_allclose(track.hz, hz, rtol=0.01)


def test_a_missing_fundamental_is_still_heard() -> None:
    time = np.arange(RATE) / RATE
    samples = sum(np.sin(2 * np.pi * 150 * k * time) for k in (2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(pitch_of(samples).hz, 150, rtol=0.01)


def test_vibrato_is_followed() -> None:
    hz = vibrato(200.0, depth_semitones=1.0)
    track = pitch_of(tone(hz))
    middles = np.arange(len(track.hz)) * 160 + 360
    assert track.voiced.all()
    np.testing.assert_allclose(track.hz, hz[middles], rtol=0.02)


def test_a_voice_in_noise_keeps_its_pitch() -> None:
    voice = tone(180.0)
    noise = make_noise("white", len(voice), rate=RATE, seed=1) * 0.3
    track = pitch_of(voice + noise)
    assert track.voiced.mean() > 0.95
    assert np.median(track.hz[track.voiced]) == pytest.approx(180, rel=0.01)


@pytest.mark.parametrize("kind", ["white", "pink", "speech_shaped", "silence"])
def test_noise_has_no_pitch(kind: str) -> None:
    tracks = [pitch_of(make_noise(kind, 3 * RATE, rate=RATE, seed=seed)) for seed in range(10)]
    assert max(track.voiced.mean() for track in tracks) < 0.005


def test_a_click_and_a_pause_are_not_voiced() -> None:
    samples = np.concatenate([tone(120.0, 1.0), np.zeros(RATE, dtype=np.float32)])
    samples[RATE + RATE // 2] = 0.5
    track = pitch_of(samples)
    assert track.voiced[:90].all()
    assert not track.voiced[100:].any()


def test_a_sound_shorter_than_five_frames_is_not_voiced() -> None:
    assert not pitch_of(tone(200.0, 0.08)).voiced.any()


@pytest.mark.parametrize("hz", [30.0, 1500.0])
def test_no_pitch_is_reported_outside_the_range_of_a_voice(hz: float) -> None:
    found = pitch_of(tone(hz)).hz
    assert np.all((found == 0) | ((found > 60) & (found < 550)))


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
