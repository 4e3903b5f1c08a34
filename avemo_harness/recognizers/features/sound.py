"""One row of numbers for the sound of a clip: spectra, log-mel bands, pitch, loudness and rhythm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.classification import Floats

RATE = 16_000
"""Samples a second that every feature of sound is defined for."""
FRAMES_PER_SECOND = 100
MEL_BANDS = 40
FLOOR_DB = -80.0
"""Power below this, relative to the loudest frame, counts as nothing."""

_HOP = RATE // FRAMES_PER_SECOND
_FRAME = 720
_TRANSFORM = 1024


def power_spectra(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the power spectrum of a 45 ms Hann frame every 10 ms, relative to the loudest frame.

    Args:
        samples: mono at 16 kHz, shape (n,). Less than a frame is filled up with silence.

    Returns:
        Shape (frames, 513), bin k at k * 15.625 Hz; the bins of the loudest frame sum to 1. Silence gives zeros.
    """
    missing = max(0, _FRAME - len(samples))
    padded = np.pad(samples.astype(np.float32, copy=False), (0, missing))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
    spectra = np.fft.rfft(frames * frame_window(), _TRANSFORM, axis=1)
    power: NDArray[np.float32] = (spectra.real**2 + spectra.imag**2).astype(np.float32)
    loudest = power.sum(axis=1).max()
    return power / loudest if loudest > 1e-9 else np.zeros_like(power)


@cache
def frame_window() -> NDArray[np.float32]:
    """Return the window of a frame, shape (720,)."""
    return np.hanning(_FRAME + 2)[1:-1].astype(np.float32)


def bin_frequencies() -> Floats:
    """Return the frequencies of the bins of ``power_spectra`` in Hz, shape (513,)."""
    return np.arange(_TRANSFORM // 2 + 1, dtype=np.float64) * (RATE / _TRANSFORM)


def decibels(power: NDArray[np.float32]) -> Floats:
    """Decibels relative to the loudest frame, never below ``FLOOR_DB``."""
    return 10 * np.log10(power.astype(np.float64) + 10 ** (FLOOR_DB / 10))


@cache
def mel_bank() -> NDArray[np.float32]:
    """Return triangular filters evenly spaced in mel from 60 Hz to 7.6 kHz, shape (40, 513), each with peak 1."""
    mel = np.linspace(_mel(60.0), _mel(7600.0), MEL_BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hz = bin_frequencies()
    filters = np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre))
    return np.maximum(0, filters).astype(np.float32)


@cache
def cosine_basis(coefficients: int = 12) -> Floats:
    """Return the cosines that turn log-mel bands into cepstra, shape (coefficients, 40), orthonormal, from order 1."""
    order = np.arange(1, coefficients + 1)[:, None]
    basis: Floats = np.cos(np.pi * order * (np.arange(MEL_BANDS) + 0.5) / MEL_BANDS) * np.sqrt(2 / MEL_BANDS)
    return basis


def _mel(hz: float) -> float:
    """O'Shaughnessy's scale: 1000 Hz are 1000 mel."""
    return float(2595 * np.log10(1 + hz / 700))


LOWEST_PITCH_HZ = 65.0
HIGHEST_PITCH_HZ = 500.0
VOICED_STRENGTH = 0.6
"""Normalised autocorrelation at the period from which a frame can be voiced."""
SHORTEST_RUN = 5
"""Frames in a row that must be voiced with a steady pitch: chance peaks of noise do not last."""
LARGEST_STEP = 0.12
"""Largest change of pitch between neighbouring frames of a run, as a natural logarithm (two semitones)."""
_OCTAVE_COST = 0.06
_AUDIBLE_DB = -40.0


@dataclass(frozen=True, slots=True)
class PitchTrack:
    """Pitch of every frame.

    Attributes:
        hz: float64 (n,), the fundamental frequency; 0 in frames that are not voiced.
        strength: float64 (n,), normalised autocorrelation at the best period, in [0, 1], of every frame.
    """

    hz: NDArray[np.float64]
    strength: NDArray[np.float64]

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Mask of the voiced frames, shape (n,)."""
        return self.hz > 0


def track_pitch(power: NDArray[np.float32], window: NDArray[np.float32], rate: int) -> PitchTrack:
    """Follow the pitch through the power spectra of a recording.

    Args:
        power: shape (n, bins), squared magnitudes of a zero-padded transform of ``2 * (bins - 1)`` samples.
        window: the window that was applied to each frame before the transform.
        rate: samples a second of the recording.

    Returns:
        One pitch a frame. A frame is voiced where it is within 40 dB of the loudest, its period stands out, and the
        same holds for at least five frames in a row whose pitch moves smoothly.
    """
    size = 2 * (power.shape[1] - 1)
    # Half the spectrum gives the autocorrelation at half the rate: enough for a voice, at half the cost.
    half = power[:, : size // 4 + 1]
    correlation = np.fft.irfft(half, axis=1)
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2)[::2]
    first, last = int(rate / 2 / HIGHEST_PITCH_HZ), int(np.ceil(rate / 2 / LOWEST_PITCH_HZ))
    energy = np.maximum(correlation[:, :1], 1e-20)
    shape = of_window[0] / of_window[first - 1 : last + 2]
    normalised = (correlation[:, first - 1 : last + 2] / energy * shape).astype(np.float64)

    lags = np.arange(first, last + 1)
    middle = normalised[:, 1:-1]
    is_peak = (middle > normalised[:, :-2]) & (middle >= normalised[:, 2:])
    # Every multiple of a period is a peak too: a small cost for each octave prefers the shortest.
    merit = np.where(is_peak, middle - _OCTAVE_COST * np.log2(lags), -np.inf)
    best = merit.argmax(axis=1)
    rows = np.arange(len(power))
    left, centre, right = (normalised[rows, best + shift] for shift in (0, 1, 2))
    found = is_peak[rows, best]
    curve = np.where(found, left - 2 * centre + right, -1.0)
    offset = np.where(found, 0.5 * (left - right) / np.minimum(curve, -1e-9), 0.0)
    hz = rate / 2 / (lags[best] + np.clip(offset, -0.5, 0.5))
    strength = np.where(found, np.clip(centre, 0.0, 1.0), 0.0)

    loudness = energy[:, 0]
    audible = loudness > loudness.max(initial=0.0) * 10 ** (_AUDIBLE_DB / 10)
    candidate = audible & (strength >= VOICED_STRENGTH)
    return PitchTrack(np.where(_steady_pitch(np.log(hz), candidate), hz, 0.0), strength)


def _steady_pitch(log_hz: NDArray[np.float64], candidate: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the candidates in runs of at least ``SHORTEST_RUN`` frames without a jump of pitch."""
    if not len(candidate):
        return candidate
    linked = candidate[1:] & candidate[:-1] & (np.abs(np.diff(log_hz)) <= LARGEST_STEP)
    run = np.concatenate([[0], np.cumsum(~linked)])
    lengths = np.bincount(run, weights=candidate)
    steady: NDArray[np.bool_] = candidate & (lengths[run] >= SHORTEST_RUN)
    return steady


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
        """True where somebody speaks."""
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
