"""Spectra: a known tone lands where it should, and no level matters."""

from __future__ import annotations

import numpy as np
import pytest
from recognizers.signals import RATE

from avemo_harness.recognizers.features.sound import (
    FLOOR_DB,
    bin_frequencies,
    cosine_basis,
    decibels,
    mel_bank,
    power_spectra,
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
