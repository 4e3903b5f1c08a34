"""Pitch: tones of known frequency, and sounds that have none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recognizers.signals import RATE, tone, vibrato

from avemo_harness.media import make_noise
from avemo_harness.recognizers.features.sound import PitchTrack, frame_window, power_spectra, track_pitch


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
