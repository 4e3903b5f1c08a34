"""Valence-arousal paths of utterances, and the speakers whose voice and face express them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEUTRAL = 0.5
"""The middle of the unit scale of valence and arousal."""

RATED_HZ = 2.0
"""Values a second of the paths that a release stores."""

EMOTION_TARGETS = {"neutral": (0.5, 0.5), "happy": (0.875, 0.75), "angry": (0.175, 0.85), "sad": (0.175, 0.225)}
"""Mean valence and arousal at the end of the paths of each emotion."""
_TARGET_SPREAD = 0.03
_WANDER = 0.025
_ONSET_S = 0.5
"""Time from neutral to the full expression; half of it is there after half the time."""


@dataclass(frozen=True, slots=True)
class Affect:
    """Valence and arousal on the unit scale [0, 1], 0.5 = neutral: float64 (n,) each."""

    valence: Floats
    arousal: Floats


@dataclass(frozen=True, slots=True)
class AffectPath:
    """Path of one utterance: from neutral at its start to near the emotion's target, wandering a little.

    Args:
        valence, arousal: of its end, on the unit scale.
        wander_hz, wander_phase: of the slow sine around it, one each for valence and arousal.
    """

    valence: float
    arousal: float
    wander_hz: tuple[float, float]
    wander_phase: tuple[float, float]

    @classmethod
    def draw(cls, emotion: str, rng: np.random.Generator) -> AffectPath:
        """A path towards one of the four emotions; the numbers drawn do not depend on which. KeyError for others."""
        valence, arousal = np.clip(np.array(EMOTION_TARGETS[emotion]) + rng.normal(0, _TARGET_SPREAD, 2), 0, 1).tolist()
        hz = rng.uniform(0.2, 0.6, 2).tolist()
        phase = rng.uniform(0, 2 * np.pi, 2).tolist()
        return cls(valence, arousal, (hz[0], hz[1]), (phase[0], phase[1]))

    def at(self, times_s: Floats, intensity: float = 1.0) -> Affect:
        """The path at some times, shape (n,); `intensity` in [0, 1] says how much of it is shown.

        >>> path = AffectPath(1.0, 0.25, (0.5, 0.5), (0.0, 0.0))
        >>> path.at(np.array([0.0, 1.0])).valence.round(2).tolist()
        [0.5, 1.0]
        """
        x = np.clip(times_s / _ONSET_S, 0, 1)
        onset = x * x * (3 - 2 * x)
        tracks = []
        for target, hz, phase in zip((self.valence, self.arousal), self.wander_hz, self.wander_phase, strict=True):
            full = target - NEUTRAL + _WANDER * np.sin(2 * np.pi * hz * times_s + phase)
            tracks.append(np.clip(NEUTRAL + intensity * onset * full, 0, 1))
        return Affect(*tracks)

    def rated(self, duration_s: float) -> Affect:
        """The path as a release stores it: max(1, round(2 * duration)) values, from the middles of half seconds.

        >>> len(AffectPath(1.0, 0.5, (0.5, 0.5), (0.0, 0.0)).rated(2.3).valence)
        5
        """
        count = max(1, round(RATED_HZ * duration_s))
        return self.at((np.arange(count, dtype=np.float64) + 0.5) / RATED_HZ)


def stored_tracks(affect: Affect) -> dict[str, Any]:
    """A rated path by the fields of a release's turn."""
    valence, arousal = (tuple(track.round(4).tolist()) for track in (affect.valence, affect.arousal))
    return {"valence": valence, "arousal": arousal, "va_rate_hz": RATED_HZ}


@dataclass(frozen=True, slots=True)
class AffectCues:
    """Acoustic and facial cues of valence and arousal, float64 (n,) each.

    Attributes:
        pleasure, activation: valence and arousal from the neutral point, in [-1, 1].
        joy, anger, sorrow: nearness to the three corners, in [0, 1].
    """

    pleasure: Floats
    activation: Floats
    joy: Floats
    anger: Floats
    sorrow: Floats

    @classmethod
    def of(cls, affect: Affect) -> AffectCues:
        pleasure, activation = (2 * (track - NEUTRAL) for track in (affect.valence, affect.arousal))
        displeasure = np.maximum(-pleasure, 0)
        return cls(
            pleasure,
            activation,
            np.maximum(pleasure, 0),
            np.sqrt(displeasure * np.maximum(activation, 0)),
            np.sqrt(displeasure * np.maximum(-activation, 0)),
        )


ASSISTANT_ID, ASSISTANT_NUMBER = "assistant", 99
"""Speaker of the assistant's turns, and number of the person who lends it a voice (`Speaker.draw`)."""
ASSISTANT_INTENSITY = 0.6

Colour = tuple[int, int, int]
HairStyle = Literal["cropped", "parted", "curly", "long", "bob", "bun"]

_SKINS: tuple[Colour, ...] = ((246, 214, 190), (232, 190, 156), (206, 158, 120), (168, 120, 86), (128, 88, 64))
_HAIRS: tuple[Colour, ...] = ((38, 30, 28), (84, 54, 34), (142, 96, 52), (196, 158, 92), (120, 62, 40), (150, 150, 154))
_CLOTHES: tuple[Colour, ...] = ((74, 104, 140), (140, 84, 84), (86, 124, 98), (108, 96, 134), (150, 128, 88))
_SHORT_HAIR: tuple[HairStyle, ...] = ("cropped", "parted", "curly")
_LONG_HAIR: tuple[HairStyle, ...] = ("long", "bob", "bun")


@dataclass(frozen=True, slots=True)
class Speaker:
    """One person.

    Args:
        pitch_hz: of the voice at rest.
        tract: scale of the formants; 1 for a long vocal tract, about 1.17 for a short one.
        brightness_db: tilt of the voice's spectrum at rest, in dB an octave.
        syllables_hz: syllables a second at rest.
        face_width, face_height: half axes of the face, as shares of the picture's side.
        eye_distance, eye_size, mouth_width, brow_weight: relative to the average face, about 1.
        glasses: whether the face wears them.
    """

    speaker_id: str
    pitch_hz: float
    tract: float
    brightness_db: float
    syllables_hz: float
    skin: Colour
    hair: Colour
    clothes: Colour
    hair_style: HairStyle
    face_width: float
    face_height: float
    eye_distance: float
    eye_size: float
    mouth_width: float
    brow_weight: float
    glasses: bool

    @classmethod
    def draw(cls, speaker_id: str, number: int) -> Speaker:
        """Make the person of that number: even numbers have lower voices, odd ones higher.

        >>> Speaker.draw("a", 3) == Speaker.draw("a", 3)
        True
        """
        rng = np.random.default_rng([7001, number])
        high = number % 2 == 1
        styles = _LONG_HAIR if high else _SHORT_HAIR
        return cls(
            speaker_id=speaker_id,
            pitch_hz=float(rng.uniform(178, 225) if high else rng.uniform(98, 135)),
            tract=float(rng.uniform(1.12, 1.2) if high else rng.uniform(0.97, 1.05)),
            brightness_db=float(rng.uniform(-1, 1)),
            syllables_hz=float(rng.uniform(3.8, 4.6)),
            skin=_SKINS[rng.integers(len(_SKINS))],
            hair=_HAIRS[rng.integers(len(_HAIRS))],
            clothes=_CLOTHES[rng.integers(len(_CLOTHES))],
            hair_style=styles[rng.integers(len(styles))],
            face_width=float(rng.uniform(0.245, 0.285)),
            face_height=float(rng.uniform(0.315, 0.355)),
            eye_distance=float(rng.uniform(0.92, 1.08)),
            eye_size=float(rng.uniform(0.88, 1.12)),
            mouth_width=float(rng.uniform(0.9, 1.1)),
            brow_weight=float(rng.uniform(0.75, 1.25)),
            glasses=bool(rng.random() < 0.2),
        )
