"""Formant synthesis of wordless speech (after Klatt 1980) with emotional prosody."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.data.synthesis.affect import Affect, AffectCues, Floats, Speaker

RATE = 16_000
CONTROL_HZ = 200
"""Control values a second: pitch, loudness and formants change at this rate."""

_HOP = RATE // CONTROL_HZ
_LEVEL_DB = -24.0
_SILENCE_S = 0.12
_HIGHEST_HZ = 7400.0
_MOST_HARMONICS = 60
_VOWELS = {
    "a": (740, 1250, 2550, 1.0),
    "e": (530, 1800, 2500, 0.6),
    "i": (310, 2200, 2950, 0.3),
    "o": (500, 900, 2450, 0.7),
    "u": (330, 850, 2250, 0.25),
    "y": (330, 2050, 2800, 0.3),
}
"""Three formants in Hz, and the opening of the mouth in [0, 1]."""
_BANDWIDTHS_HZ = np.array([80.0, 110.0, 170.0])
_FORMANT_GAINS = np.array([1.0, 0.6, 0.35])


@dataclass(frozen=True, slots=True)
class VoiceVariation:
    """Variation between recordings of a person that says nothing of emotion.

    Args:
        level_db, pitch_semitones, brightness_db: added to the speaker's.
        tempo, liveliness: factors on syllables a second and on how far pitch moves.
        noise_db: level of the room's noise, full scale at 0.
    """

    level_db: float
    pitch_semitones: float
    brightness_db: float
    tempo: float
    liveliness: float
    noise_db: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> VoiceVariation:
        return cls(
            level_db=float(rng.normal(0, 4)),
            pitch_semitones=float(rng.normal(0, 1.5)),
            brightness_db=float(rng.normal(0, 1.5)),
            tempo=float(2 ** rng.normal(0, 0.15)),
            liveliness=float(2 ** rng.normal(0, 0.35)),
            noise_db=float(rng.uniform(-62, -46)),
        )


@dataclass(frozen=True, slots=True)
class Speech:
    """Sound, float32 [n] mono at 16 kHz in [-1, 1], and how far the mouth opens at each control time, in [0, 1]."""

    samples: NDArray[np.float32]
    opening: Floats


@dataclass(frozen=True, slots=True)
class _Prosody:
    """Prosody at each control time, float64 (n,) each; `roughness` is jitter in semitones, `tilt_db` per octave."""

    pitch_semitones: Floats
    pitch_range: Floats
    syllables_hz: Floats
    level_db: Floats
    tilt_db: Floats
    breath: Floats
    formants: Floats
    attack_s: Floats
    roughness: Floats


@dataclass(slots=True)
class _Articulation:
    """Articulation at each control time, float64 (n,) or (n, 3) each; filled syllable by syllable."""

    loudness: Floats
    hiss: Floats
    opening: Floats
    accent: Floats
    formants_hz: Floats

    @classmethod
    def silent(cls, count: int) -> _Articulation:
        loudness, hiss, opening, accent = np.zeros((4, count))
        return cls(loudness, hiss, opening, accent, np.tile([500.0, 1500.0, 2500.0], (count, 1)))


def control_times(duration_s: float) -> Floats:
    """The control times of an utterance in seconds, one more than it has steps."""
    return np.arange(round(duration_s * CONTROL_HZ) + 1) / CONTROL_HZ


def speak(text: str, speaker: Speaker, affect: Affect, habits: VoiceVariation, rng: np.random.Generator) -> Speech:
    """Say a text, over and over until the time is full.

    Args:
        text: its vowels and hissing consonants are spoken; other sounds are not made.
        affect: at `control_times` of the utterance; decides its length.

    Returns:
        80 samples for every step between control times.
    """
    prosody = _prosody(AffectCues.of(affect), speaker, habits)
    mouth = _articulate(_syllables(text), prosody, rng)
    semitones = prosody.pitch_semitones + mouth.accent + _smooth(rng.normal(0, 0.4, len(mouth.accent)))
    semitones += prosody.roughness * rng.normal(0, 1, len(semitones))
    pitch_hz = speaker.pitch_hz * 2 ** (semitones / 12)
    gains = _harmonic_gains(pitch_hz, mouth, prosody, speaker)
    voice = _sum_of_harmonics(pitch_hz, gains)
    samples = _with_noise(voice, mouth, prosody, habits, rng)
    return Speech(samples, mouth.opening)


def _prosody(cues: AffectCues, speaker: Speaker, habits: VoiceVariation) -> _Prosody:
    pleasure, activation, anger = cues.pleasure, cues.activation, cues.anger
    return _Prosody(
        pitch_semitones=4.5 * activation + 2 * pleasure - 1.5 * anger + habits.pitch_semitones,
        pitch_range=2.6 * habits.liveliness * 2 ** (activation + 0.6 * pleasure),
        syllables_hz=speaker.syllables_hz * habits.tempo * 2 ** (0.4 * activation),
        level_db=_LEVEL_DB + habits.level_db + 6 * activation + 2 * anger,
        tilt_db=-8.5 + speaker.brightness_db + habits.brightness_db + 3 * activation + 2.5 * anger,
        breath=0.03 * 2 ** (3 * cues.sorrow - anger),
        formants=speaker.tract * (1 + 0.05 * pleasure),
        attack_s=0.06 * 2 ** (-activation - anger + 0.8 * cues.sorrow),
        roughness=0.7 * anger,
    )


def _syllables(text: str) -> list[tuple[str, bool] | None]:
    """Vowel of each syllable, and whether a hissing consonant comes before; None between words.

    >>> _syllables("The stable")
    [('e', True), None, ('a', True), ('e', False), None]
    """
    found: list[tuple[str, bool] | None] = []
    for word in re.findall(r"[a-z']+", text.lower()):
        for consonants, vowels in re.findall(r"([^aeiouy]*)([aeiouy]+)", word):
            found.append((vowels[0], bool(re.search("[cfhstxz]", consonants))))
        found.append(None)
    return found or [("a", False)]


def _articulate(syllables: list[tuple[str, bool] | None], prosody: _Prosody, rng: np.random.Generator) -> _Articulation:
    count = len(prosody.level_db)
    mouth = _Articulation.silent(count)
    times = np.arange(count) / CONTROL_HZ
    end_s = times[-1] - _SILENCE_S
    start_s, position = _SILENCE_S, 0
    while start_s < end_s - 0.05:
        syllable = syllables[position % len(syllables)]
        position += 1
        step = int(start_s * CONTROL_HZ)
        length_s = float(rng.uniform(0.75, 1.25) / prosody.syllables_hz[step])
        if syllable is None:
            start_s += 0.3 * length_s
            continue
        _add_syllable(*syllable, start_s, min(length_s, end_s - start_s), mouth, prosody, rng)
        start_s += length_s
    mouth.loudness, mouth.hiss, mouth.accent = (_smooth(track) for track in (mouth.loudness, mouth.hiss, mouth.accent))
    mouth.opening = np.clip(_smooth(mouth.opening), 0, 1)
    mouth.formants_hz = np.stack([_smooth(track) for track in mouth.formants_hz.T], axis=1)
    return mouth


def _add_syllable(
    vowel: str,
    hisses: bool,
    start_s: float,
    length_s: float,
    mouth: _Articulation,
    prosody: _Prosody,
    rng: np.random.Generator,
) -> None:
    """Enter one syllable: its consonant for about a quarter of the time, then its vowel."""
    first, last = (round(time * CONTROL_HZ) for time in (start_s, start_s + length_s))
    vowel_first = first + max(1, round(0.28 * (last - first)))
    stress, accent = rng.uniform(0.7, 1.0), rng.normal(0, 0.5)
    if hisses:
        mouth.hiss[first:vowel_first] = 1.0
    count = max(1, last - vowel_first)
    x = (np.arange(count) + 0.5) / count
    attack = min(0.5, prosody.attack_s[first] * CONTROL_HZ / count)
    envelope = np.minimum(1, x / attack) * np.minimum(1, (1 - x) / 0.3) * stress
    *formants, opening = _VOWELS[vowel]
    span = slice(vowel_first, vowel_first + count)
    mouth.loudness[span] = envelope
    mouth.opening[span] = envelope * opening
    mouth.formants_hz[span] = formants
    mouth.accent[span] = prosody.pitch_range[first] * (accent + 0.8 * np.sin(np.pi * x) * stress - 0.4)


def _smooth(track: Floats) -> Floats:
    kernel = np.hanning(9) / np.hanning(9).sum()
    return np.convolve(np.pad(track, 4, mode="edge"), kernel, "valid")


def _harmonic_gains(pitch_hz: Floats, mouth: _Articulation, prosody: _Prosody, speaker: Speaker) -> Floats:
    """Amplitude of every harmonic at every control time, shape (n, harmonics)."""
    harmonics = min(_MOST_HARMONICS, int(_HIGHEST_HZ / pitch_hz.min()))
    hz = pitch_hz[:, None] * np.arange(1, harmonics + 1)
    gains = np.zeros_like(hz)
    for formant, gain, bandwidth in zip(mouth.formants_hz.T, _FORMANT_GAINS, _BANDWIDTHS_HZ, strict=True):
        centre = (formant * prosody.formants)[:, None]
        gains += gain / np.sqrt(1 + ((hz - centre) / bandwidth) ** 2)
    tilt = 10 ** (prosody.tilt_db[:, None] / 20 * np.log2(np.maximum(hz, 100) / 200))
    return gains * tilt * (hz < _HIGHEST_HZ) * mouth.loudness[:, None]


def _sum_of_harmonics(pitch_hz: Floats, gains: Floats) -> Floats:
    """Add up sines whose frequencies are multiples of a moving pitch, shape ((n - 1) * 80,)."""
    between = np.arange(_HOP) / _HOP
    phase = 2 * np.pi * np.cumsum(_upsample(pitch_hz, between)) / RATE
    # sin((k + 1) p) = 2 cos(p) sin(k p) - sin((k - 1) p) spares a sine for every harmonic.
    twice_cosine, before, sine = 2 * np.cos(phase), np.zeros_like(phase), np.sin(phase)
    total = np.zeros_like(phase)
    for gain in gains.T:
        total += _upsample(gain, between) * sine
        before, sine = sine, twice_cosine * sine - before
    return total


def _upsample(track: Floats, between: Floats) -> Floats:
    """Interpolate a track from control times to samples."""
    return (track[:-1, None] + np.diff(track)[:, None] * between).ravel()


def _with_noise(
    voice: Floats, mouth: _Articulation, prosody: _Prosody, habits: VoiceVariation, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Bring the voice to its level and add breath, hissing consonants and the room."""
    between = np.arange(_HOP) / _HOP
    breath_noise, hiss_noise, room_noise = rng.normal(0, 1, (3, len(voice)))
    spoken = _upsample(mouth.loudness, between)
    level = np.sqrt(np.mean(voice[spoken > 0.1] ** 2)) if (spoken > 0.1).any() else 1.0
    sound = voice / max(float(level), 1e-9)
    sound += _upsample(mouth.loudness * prosody.breath, between) * breath_noise
    sound += 0.25 * _upsample(mouth.hiss, between) * np.diff(hiss_noise, prepend=0.0)
    sound *= 10 ** (_upsample(prosody.level_db, between) / 20)
    sound += 10 ** (habits.noise_db / 20) * room_noise
    # Whole 16-bit steps: the last bit of a sine may differ between processors, a recording should not.
    return (np.round(np.tanh(sound) * 32767) / 32767).astype(np.float32)
