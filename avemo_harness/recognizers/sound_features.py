"""What a voice sounds like, as one row of numbers: spectrum, timbre, loudness, intonation, rhythm.

Needs no trained weights and no library but NumPy. Every value is independent of the level of the recording, since the
distance of a microphone says nothing about emotion, and of its length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.recognizers.pitch import PitchTrack, track_pitch
from avemo_harness.recognizers.spectrum import (
    FRAMES_PER_SECOND,
    RATE,
    Floats,
    bin_frequencies,
    cosine_basis,
    decibels,
    frame_window,
    mel_bank,
    power_spectra,
)

SPEECH_SHARE = 0.03
"""Share of voiced frames from which a recording holds speech. Noise stays below 0.005, acted speech above 0.06."""

_ACTIVE_DB = -35.0
_CHANGE_LAGS = (4, 20)
"""Frames between which change of the spectrum is measured: within a sound, and from syllable to syllable."""
_BALANCE_BANDS_HZ = ((60, 500), (500, 1000), (1000, 2000), (2000, 4000), (4000, 8000))

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SoundFeatures:
    """The sound of one clip.

    Attributes:
        values: float64 (n_values,), finite; the same length for every clip.
        voiced_share: share of 10 ms frames with a steady pitch, in [0, 1]; near 0 for noise and silence.
    """

    values: Floats
    voiced_share: float

    @property
    def has_speech(self) -> bool:
        """Whether somebody speaks."""
        return self.voiced_share >= SPEECH_SHARE


def sound_features(samples: NDArray[np.float32]) -> SoundFeatures:
    """Describe a recording.

    Args:
        samples: mono at 16 kHz, shape (n,), at any level; an empty one is silence.

    Raises:
        ValueError: the samples are not one channel of finite numbers.

    >>> sound_features(np.zeros(16_000, dtype=np.float32)).has_speech
    False
    """
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(
            f"expected one channel of finite samples at {RATE} Hz, found shape {samples.shape}; "
            "decode it with decode_sound"
        )
    power = power_spectra(samples)
    pitch = track_pitch(power, frame_window(), RATE)
    energy = decibels(power.sum(axis=1)) / 10
    active = energy > _ACTIVE_DB / 10
    if not active.any():
        active = np.ones_like(active)
    voiced = pitch.voiced if pitch.voiced.any() else active
    values = np.concatenate(
        [
            _spectrum(decibels(power @ mel_bank().T) / 10, active),
            _timbre(power, pitch.strength, active, voiced),
            _loudness(energy[active]),
            _intonation(pitch),
            _rhythm(energy, active, pitch.voiced),
        ]
    )
    return SoundFeatures(values, float(pitch.voiced.mean()))


def _spectrum(log_mel: Floats, active: Flags) -> Floats:
    """Mean, spread, drift and speed of change of each mel band, and of the shape of the spectrum (cepstra)."""
    bands = log_mel[active]
    first, second = np.array_split(bands, 2)
    drift = second.mean(axis=0) - first.mean(axis=0) if len(second) else np.zeros(bands.shape[1])
    cepstra = log_mel @ cosine_basis().T
    return np.concatenate(
        [
            bands.mean(axis=0),
            bands.std(axis=0),
            drift,
            *(_mean_change(log_mel, active, lag) for lag in _CHANGE_LAGS),
            cepstra[active].std(axis=0),
            _mean_change(cepstra, active, 1),
        ]
    )


def _mean_change(tracks: Floats, active: Flags, lag: int) -> Floats:
    """Mean absolute difference of each column over ``lag`` frames around active ones, shape (columns,)."""
    change = np.abs(tracks[lag:] - tracks[:-lag])
    around = active[lag // 2 : lag // 2 + len(change)]
    return change[around].mean(axis=0) if around.any() else np.zeros(tracks.shape[1])


def _timbre(power: NDArray[np.float32], strength: Floats, active: Flags, voiced: Flags) -> Floats:
    """Mean and spread of centroid, balance of bands, flux and periodicity, over active and over voiced frames."""
    hz = bin_frequencies()
    total = power.sum(axis=1) + np.float32(1e-12)
    edges = np.searchsorted(hz, [band[0] for band in _BALANCE_BANDS_HZ])
    shares = np.add.reduceat(power, edges, axis=1) / total[:, None]
    magnitude = np.sqrt(power / total[:, None])
    flux = np.zeros(len(power))
    flux[1:] = np.sqrt((np.diff(magnitude, axis=0) ** 2).sum(axis=1))
    tracks = np.column_stack(
        [np.log2(power @ hz / total + 100), np.log10(shares.astype(np.float64) + 1e-6), flux, strength]
    )
    return np.concatenate(
        [statistic for frames in (active, voiced) for statistic in (tracks[frames].mean(0), tracks[frames].std(0))]
    )


def _loudness(energy: Floats) -> Floats:
    """Distribution and movement of loudness over active frames, in bels relative to the loudest."""
    steps = np.diff(energy) if len(energy) > 1 else np.zeros(1)
    rises, falls = np.maximum(steps, 0), np.maximum(-steps, 0)
    return np.array(
        [
            energy.mean(),
            energy.std(),
            *np.percentile(energy, [10, 25, 50, 75, 90]),
            np.abs(steps).mean(),
            steps.std(),
            np.percentile(rises, 95),
            np.percentile(falls, 95),
            _slope(energy),
        ]
    )


def _intonation(pitch: PitchTrack) -> Floats:
    """Distribution and movement of pitch over voiced frames, in octaves above 55 Hz; zeros without a voice."""
    voiced = pitch.voiced
    if not voiced.any():
        return np.zeros(18)
    octaves = np.log2(pitch.hz[voiced] / 55)
    both_voiced = voiced[1:] & voiced[:-1]
    steps = 100 * np.diff(np.log2(np.maximum(pitch.hz, 1)))[both_voiced]
    lowest, lower, middle, upper, highest = np.percentile(octaves, [5, 25, 50, 75, 95])
    third = max(1, len(octaves) // 3)
    return np.array(
        [
            octaves.mean(),
            octaves.std(),
            lowest,
            lower,
            middle,
            upper,
            highest,
            highest - lowest,
            upper - lower,
            (highest + lowest) / 2 - middle,
            steps.mean(),
            steps.std(),
            np.abs(steps).mean(),
            np.abs(np.diff(steps)).mean(),
            (steps > 0.5).mean(),
            (steps < -0.5).mean(),
            octaves[-third:].mean() - octaves[:third].mean(),
            _slope(octaves),
        ]
    )


def _rhythm(energy: Floats, active: Flags, voiced: Flags) -> Floats:
    """Rates a second of peaks of loudness (about syllables), voiced runs and pauses, and how long voiced runs are."""
    times = np.flatnonzero(active)
    span_s = (times[-1] - times[0] + 1) / FRAMES_PER_SECOND
    active_s = active.sum() / FRAMES_PER_SECOND
    kernel = np.hanning(9) / np.hanning(9).sum()
    smooth = np.convolve(np.pad(energy, 4, mode="edge"), kernel, "valid")
    is_peak = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & active[1:-1]
    runs = _run_lengths(voiced) / FRAMES_PER_SECOND
    return np.array(
        [
            is_peak.sum() / active_s,
            len(runs) / active_s,
            voiced.sum() / FRAMES_PER_SECOND / active_s,
            runs.mean() if len(runs) else 0.0,
            runs.std() if len(runs) else 0.0,
            active_s / span_s,
            len(_run_lengths(~active[times[0] : times[-1] + 1])) / span_s,
        ]
    )


def _run_lengths(flags: Flags) -> Floats:
    """Lengths of the runs of true values.

    >>> _run_lengths(np.array([True, True, False, True]))
    array([2., 1.])
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return (edges[1::2] - edges[::2]).astype(np.float64)


def _slope(track: Floats) -> float:
    """Change a second of a track with one value a frame, by least squares; 0 for less than three frames."""
    if len(track) < 3:
        return 0.0
    time_s = (np.arange(len(track)) - (len(track) - 1) / 2) / FRAMES_PER_SECOND
    return float(time_s @ track / (time_s @ time_s))
