"""What an utterance is to express: a path through valence and arousal that the voice and the face both follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEUTRAL = 0.5
"""The middle of the unit scale of valence and arousal."""

RATED_HZ = 2.0
"""Values a second of the paths that a release stores."""

PLACES = {"neutral": (0.5, 0.5), "happy": (0.875, 0.75), "angry": (0.175, 0.85), "sad": (0.175, 0.225)}
"""Valence and arousal that the paths of each emotion go to, about."""
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
    """One utterance's path: from neutral at its start to a place near the emotion's, wandering a little.

    Args:
        valence, arousal: where it goes, on the unit scale.
        wander_hz, wander_phase: of the slow sine around it, one each for valence and arousal.
    """

    valence: float
    arousal: float
    wander_hz: tuple[float, float]
    wander_phase: tuple[float, float]

    @classmethod
    def draw(cls, emotion: str, rng: np.random.Generator) -> AffectPath:
        """A path towards one of the four emotions; the numbers drawn do not depend on which. KeyError for others."""
        valence, arousal = np.clip(np.array(PLACES[emotion]) + rng.normal(0, _TARGET_SPREAD, 2), 0, 1).tolist()
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


@dataclass(frozen=True, slots=True)
class Feeling:
    """What valence and arousal look and sound like, float64 (n,) each.

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
    def of(cls, affect: Affect) -> Feeling:
        """Read the corners off a path."""
        pleasure, activation = (2 * (track - NEUTRAL) for track in (affect.valence, affect.arousal))
        displeasure = np.maximum(-pleasure, 0)
        return cls(
            pleasure,
            activation,
            np.maximum(pleasure, 0),
            np.sqrt(displeasure * np.maximum(activation, 0)),
            np.sqrt(displeasure * np.maximum(-activation, 0)),
        )
