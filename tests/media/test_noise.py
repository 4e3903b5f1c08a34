from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import melody

from avemo_harness import media
from avemo_harness.errors import MediaError

RATE = 16_000
SOUNDING: list[media.NoiseKind] = ["speech_shaped", "white", "pink"]


def dbfs(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def octave_db(samples: np.ndarray, low_hz: float) -> float:
    """Power density in the octave above `low_hz`, in dB."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(10 * np.log10(power[(hz >= low_hz) & (hz < 2 * low_hz)].mean()))


@settings(max_examples=40)
@given(
    kind=st.sampled_from(SOUNDING),
    count=st.integers(1, 40_000),
    rate=st.sampled_from([8_000, 16_000, 48_000]),
    seed=st.integers(0, 2**60),
)
def test_the_level_is_exact_at_any_length(kind: media.NoiseKind, count: int, rate: int, seed: int) -> None:
    noise = media.make_noise(kind, count, rate=rate, seed=seed)
    assert noise.shape == (count,)
    assert noise.dtype == np.float32
    assert np.abs(noise).max() <= 1.0
    assert dbfs(noise) == pytest.approx(-26.0, abs=1e-4)


@pytest.mark.parametrize("kind", SOUNDING)
def test_equal_seeds_give_equal_noise(kind: media.NoiseKind) -> None:
    first, again, other = (media.make_noise(kind, 8000, rate=RATE, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.2


def test_speech_shaped_noise_falls_by_nine_db_an_octave() -> None:
    noise = media.make_noise("speech_shaped", 60 * RATE, rate=RATE, seed=3)
    levels = [octave_db(noise, hz) for hz in (125, 250, 1000, 2000, 4000)]
    assert levels[0] == pytest.approx(levels[1], abs=0.3)
    assert np.diff(levels[2:]) == pytest.approx([-9, -9], abs=0.5)
    assert octave_db(noise, 20) < levels[0] - 40


def test_white_is_flat_and_pink_falls_by_three_db_an_octave() -> None:
    hz = (250, 500, 1000, 2000, 4000)
    white, pink = (media.make_noise(kind, 60 * RATE, rate=RATE, seed=3) for kind in ("white", "pink"))
    assert np.diff([octave_db(white, low) for low in hz]) == pytest.approx(0, abs=0.3)
    assert np.diff([octave_db(pink, low) for low in hz]) == pytest.approx(-3.01, abs=0.4)


@pytest.mark.parametrize("kind", [*SOUNDING, "silence"])
def test_the_speech_it_replaces_leaves_no_trace(kind: media.NoiseKind) -> None:
    loud, soft = melody(1.0), 0.01 * melody(1.0, seed=4)
    noises = [media.make_noise(kind, RATE, rate=RATE, seed=9, reference=speech) for speech in (loud, soft, None)]
    np.testing.assert_array_equal(noises[0], noises[1])
    np.testing.assert_array_equal(noises[0], noises[2])
    if kind != "silence":
        assert abs(np.corrcoef(noises[0], loud)[0, 1]) < 0.05


def test_silence_is_zeros() -> None:
    assert not media.make_noise("silence", 100, rate=RATE, seed=1).any()
    assert len(media.make_noise("white", 0, rate=RATE, seed=1)) == 0


@pytest.mark.parametrize("gain", [0.01, 0.3, 1.0, 3.0])
def test_matched_noise_has_the_level_of_the_speech_without_its_pauses(gain: float) -> None:
    speech = gain * melody(1.0)
    with_pauses = np.concatenate([speech, np.zeros(3 * RATE, dtype=np.float32)])
    noise = media.make_noise("rms_matched", 2 * RATE, rate=RATE, seed=1, reference=with_pauses)
    assert dbfs(noise) == pytest.approx(dbfs(speech), abs=0.01)
    assert np.abs(noise).max() <= 1.0


def test_matched_noise_of_silence_is_silence() -> None:
    noise = media.make_noise("rms_matched", RATE, rate=RATE, seed=1, reference=np.zeros(RATE, np.float32))
    assert not noise.any()
    assert media.active_level(np.zeros(0, np.float32), RATE) == 0.0


def test_unfit_requests_are_refused() -> None:
    with pytest.raises(MediaError, match="reference"):
        media.make_noise("rms_matched", 100, rate=RATE, seed=1)
    with pytest.raises(MediaError, match="brown"):
        media.make_noise("brown", 100, rate=RATE, seed=1)  # type: ignore[arg-type]  # (the wrong name is the point)
    with pytest.raises(MediaError, match="length"):
        media.make_noise("white", -1, rate=RATE, seed=1)
