"""What a voice sounds like, as one row of numbers: spectrum, pitch, loudness, rhythm. No weights, NumPy only.

All of it is independent of the level of the recording, since a microphone's distance says nothing about emotion.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from avemo_harness.recognizers.pitch import PitchTrack, track_pitch

RATE = 16_000
"""Samples a second that the features are defined for."""
MEL_BANDS = 40
SPEECH_SHARE = 0.04
"""Share of voiced frames from which a recording counts as speech."""
_HOP = 160
_WINDOW = 720
_TRANSFORM = 1024
_FLOOR_DB = -60.0
_ACTIVE_DB = -35.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SoundFeatures:
    """The sound of one clip.

    Attributes:
        values: float64 (SOUND_WIDTH,), finite.
        voiced_share: share of 10 ms frames with a steady pitch, in [0, 1]; near 0 for noise and silence.
    """

    values: Floats
    voiced_share: float

    @property
    def has_speech(self) -> bool:
        """Whether somebody speaks: noise and silence have no steady pitch."""
        return self.voiced_share >= SPEECH_SHARE


def sound_features(samples: NDArray[np.float32]) -> SoundFeatures:
    """Describe a recording.

    Args:
        samples: mono at 16 kHz, shape (n,), full scale 1; any level, any length (an empty one is silence).

    Raises:
        ValueError: the samples are not one finite channel.

    >>> sound_features(np.zeros(16_000, dtype=np.float32)).has_speech
    False
    """
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(f"sound must be one channel of finite samples at {RATE} Hz, found shape {samples.shape}")
    power = _power_spectra(samples)
    pitch = track_pitch(power, _window(), RATE)
    energy_db = _decibels(power.sum(axis=1, dtype=np.float64))
    active = energy_db > _ACTIVE_DB
    log_mel = _decibels(power @ _mel_bank().T) / 10
    values = np.concatenate(
        [
            _spectrum_shape(log_mel, active, pitch),
            _timbre(power, active, pitch),
            _loudness(energy_db, active),
            _intonation(pitch),
            _rhythm(energy_db, active, pitch),
        ]
    )
    return SoundFeatures(values, float(pitch.voiced.mean()))


def _power_spectra(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power spectra of Hann-windowed 45 ms frames every 10 ms, relative to the loudest frame, shape (n, 513)."""
    padded = np.concatenate([samples, np.zeros(max(0, _WINDOW - len(samples)), dtype=np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(padded.astype(np.float32, copy=False), _WINDOW)[::_HOP]
    spectra = np.fft.rfft(frames * _window(), _TRANSFORM, axis=1)
    power: NDArray[np.float32] = spectra.real**2 + spectra.imag**2
    loudest = power.sum(axis=1).max()
    return power / loudest if loudest > 1e-9 else np.zeros_like(power)


def _decibels(power: NDArray[np.floating]) -> Floats:
    """Decibels, with a floor that keeps the noise of the recording from telling anything."""
    return 10 * np.log10(power.astype(np.float64) + 10 ** (_FLOOR_DB / 10))


@cache
def _window() -> NDArray[np.float32]:
    return np.hanning(_WINDOW + 2)[1:-1].astype(np.float32)


@cache
def _mel_bank() -> NDArray[np.float32]:
    """Triangular filters of equal width on the mel scale from 60 Hz to 7.6 kHz, shape (MEL_BANDS, 513)."""
    edges_mel = np.linspace(_mel(60.0), _mel(7600.0), MEL_BANDS + 2)
    edges = 700 * (10 ** (edges_mel / 2595) - 1)
    bins = np.fft.rfftfreq(_TRANSFORM, 1 / RATE)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def _mel(hz: float) -> float:
    """The mel scale of O'Shaughnessy.

    >>> round(_mel(1000.0))
    1000
    """
    return float(2595 * np.log10(1 + hz / 700))


def _spectrum_shape(log_mel: Floats, active: NDArray[np.bool_], pitch: PitchTrack) -> Floats:
    """Mean and spread of each mel band over active frames, its mean over voiced ones, cepstral spread and change."""
    active_mel = log_mel[active] if active.any() else log_mel
    voiced_mel = log_mel[pitch.voiced] if pitch.voiced.any() else active_mel
    cepstra = active_mel @ _cosines().T
    change = np.diff(log_mel @ _cosines().T, axis=0, prepend=0)[active] if active.any() else cepstra * 0
    return np.concatenate(
        [
            active_mel.mean(axis=0),
            active_mel.std(axis=0),
            voiced_mel.mean(axis=0) - active_mel.mean(axis=0),
            cepstra.std(axis=0),
            np.abs(change).mean(axis=0),
        ]
    )


@cache
def _cosines() -> Floats:
    """Rows of the cosine transform that turn log-mel bands into twelve cepstral coefficients, shape (12, MEL_BANDS)."""
    order = np.arange(1, 13)[:, None]
    return np.cos(np.pi * order * (np.arange(MEL_BANDS) + 0.5) / MEL_BANDS) / np.sqrt(MEL_BANDS / 2)


def _timbre(power: NDArray[np.float32], active: NDArray[np.bool_], pitch: PitchTrack) -> Floats:
    """Centroid, slope, balance and flux of the spectrum, and how periodic it is."""
    used = active if active.any() else np.ones(len(power), dtype=bool)
    hz = np.fft.rfftfreq(_TRANSFORM, 1 / RATE)
    spectra = power.astype(np.float64)
    total = spectra.sum(axis=1) + 1e-12
    centroid = np.log2((spectra @ hz) / total + 100)
    bands = [spectra[:, (hz >= low) & (hz < high)].sum(axis=1) for low, high in _BALANCE_BANDS]
    balance = np.stack([np.log10((band + 1e-6 * total) / total) for band in bands], axis=1)
    amplitude = np.sqrt(spectra / total[:, None])
    flux = np.r_[0.0, np.sqrt((np.diff(amplitude, axis=0) ** 2).sum(axis=1))]
    tracks = np.column_stack([centroid, balance, flux, pitch.strength])
    voiced = tracks[pitch.voiced] if pitch.voiced.any() else tracks[used]
    return np.concatenate([tracks[used].mean(axis=0), tracks[used].std(axis=0), voiced.mean(axis=0), voiced.std(axis=0)])


_BALANCE_BANDS = ((60, 500), (500, 1000), (1000, 2000), (2000, 4000), (4000, 8000))


def _loudness(energy_db: Floats, active: NDArray[np.bool_]) -> Floats:
    """Distribution and movement of loudness in bels below the loudest frame."""
    used = energy_db[active] / 10 if active.any() else energy_db * 0
    steps = np.diff(used) if len(used) > 1 else np.zeros(1)
    rises, falls = steps[steps > 0], -steps[steps < 0]
    return np.array(
        [
            used.mean(),
            used.std(),
            *np.percentile(used, [10, 25, 50, 75, 90]),
            np.abs(steps).mean(),
            steps.std(),
            rises.mean() if len(rises) else 0.0,
            falls.mean() if len(falls) else 0.0,
            *_percentile_or_zero(rises, 90),
            _slope(used),
        ]
    )


def _intonation(pitch: PitchTrack) -> Floats:
    """Distribution and movement of pitch in octaves above 55 Hz; zeros without a voice."""
    voiced = pitch.voiced
    if not voiced.any():
        return np.zeros(18)
    octaves = np.log2(pitch.hz[voiced] / 55)
    inside = voiced[1:] & voiced[:-1]
    steps = np.diff(np.log2(np.maximum(pitch.hz, 1)))[inside]
    bend = np.abs(np.diff(steps)) if len(steps) > 1 else np.zeros(1)
    low, lower, middle, upper, high = np.percentile(octaves, [5, 25, 50, 75, 95])
    thirds = [part.mean() for part in np.array_split(octaves, 3) if len(part)]
    return np.array(
        [
            octaves.mean(), octaves.std(), low, lower, middle, upper, high, high - low, upper - lower,
            (high + low) / 2 - middle,
            np.abs(steps).mean() * 100, steps.mean() * 100, steps.std() * 100, (steps > 0.005).mean(), (steps < -0.005).mean(),
            bend.mean() * 100,
            thirds[-1] - thirds[0],
            _slope(octaves),
        ]
    )


def _rhythm(energy_db: Floats, active: NDArray[np.bool_], pitch: PitchTrack) -> Floats:
    """Rates a second of active time: syllable-like peaks of loudness, voiced runs; lengths of runs and pauses."""
    seconds = max(active.sum() / 100, 0.1)
    smooth = np.convolve(energy_db, np.hanning(9) / np.hanning(9).sum(), "same")
    middle = smooth[1:-1]
    peaks = (middle > smooth[:-2]) & (middle >= smooth[2:]) & active[1:-1]
    runs, pauses = _run_lengths(pitch.voiced), _run_lengths(~active)
    inner = active.nonzero()[0]
    span = (inner[-1] - inner[0] + 1) / 100 if len(inner) else 1.0
    return np.array(
        [
            peaks.sum() / seconds,
            len(runs) / seconds,
            pitch.voiced.sum() / 100 / seconds,
            runs.mean() / 100 if len(runs) else 0.0,
            runs.std() / 100 if len(runs) else 0.0,
            seconds / span,
            len(pauses) / span,
            np.log(span+.1)
        ]
    )


def _run_lengths(flags: NDArray[np.bool_]) -> Floats:
    """Lengths of the runs of true values.

    >>> _run_lengths(np.array([True, True, False, True]))
    array([2., 1.])
    """
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    return (edges[1::2] - edges[::2]).astype(np.float64)


def _percentile_or_zero(values, q):
    return [np.percentile(values, q)] if len(values) else [0.0]


def _slope(values: Floats) -> float:
    """Change per second of a track with a value every 10 ms, by least squares."""
    if len(values) < 3:
        return 0.0
    time = (np.arange(len(values)) - (len(values) - 1) / 2) / 100
    return float(time @ values / (time @ time))
