"""Loudness as ITU-R BS.1770 has it."""

from __future__ import annotations

import numpy as np
import pytest

from avemo_harness.human.media import PEAK, RATE, TARGET_LUFS, loudness, normalize_loudness
from avemo_harness.media import Samples


def tone(level_dbfs: float, seconds: float, hz: float = 997.0) -> Samples:
    time = np.arange(int(seconds * RATE)) / RATE
    return (10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def test_a_tone_of_full_scale_in_one_channel_has_the_standards_value() -> None:
    assert loudness(tone(0, 3)) == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize("level", [-6.0, -20.0, -40.0])
def test_loudness_follows_the_level(level: float) -> None:
    assert loudness(tone(level, 3)) == pytest.approx(-3.01 + level, abs=0.02)


def test_low_tones_count_less() -> None:
    assert loudness(tone(-20, 3, hz=40)) < loudness(tone(-20, 3)) - 3


def test_pauses_do_not_count() -> None:
    speech = tone(-20, 2)
    with_pause = np.concatenate([speech, np.zeros(4 * RATE, np.float32), speech])
    assert loudness(with_pause) == pytest.approx(loudness(speech), abs=0.5)


def test_what_is_loud_and_what_is_quiet_come_to_one_level() -> None:
    for level in (-50.0, -23.0, -3.0):
        assert loudness(normalize_loudness(tone(level, 1))) == pytest.approx(TARGET_LUFS, abs=0.05)


def test_peaks_are_never_cut() -> None:
    click = np.zeros(RATE, np.float32)
    click[::4000] = 0.5
    assert abs(normalize_loudness(click)).max() <= PEAK + 1e-6


def test_silence_stays_silence() -> None:
    silence = np.zeros(RATE, np.float32)
    assert loudness(silence) == float("-inf")
    assert not normalize_loudness(silence).any()
