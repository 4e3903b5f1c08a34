"""The people of generated clips: how each sounds and looks at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

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
