"""How a face moves while it speaks: from valence, arousal and the opening of the mouth to expressions and frames.

The movements are those that Ekman and Friesen's Facial Action Coding System (1978) describes: corners of the mouth and
cheeks for joy, lowered brows and tight lids for anger, raised inner brows and drooping lids for sadness.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.build.affect import Affect, Feeling, Floats
from avemo_harness.build.drawing import Expression, Scene, draw_portrait, lighting
from avemo_harness.build.speakers import Speaker

FPS = 25

_BLINK = np.array([0.55, 0.05, 0.05, 0.55])
"""How open the eyes are, relative to before, in the frames of a blink."""


@dataclass(frozen=True, slots=True)
class FaceHabits:
    """What differs between two recordings of a face and says nothing of emotion.

    Args:
        scene: framing, background and light.
        smile, brow_lift, lids: of the face at rest, added to what is expressed.
        sway_hz, sway_phase: of the head's slow movement: sideways, up and down, and tilting.
        blinks: first frame of each blink.
    """

    scene: Scene
    smile: float
    brow_lift: float
    lids: float
    sway_hz: tuple[float, float, float]
    sway_phase: tuple[float, float, float]
    blinks: tuple[int, ...]

    @classmethod
    def draw(cls, frames: int, rng: np.random.Generator) -> FaceHabits:
        """Draw the habits of one recording of some frames."""
        hz = rng.uniform(0.15, 0.5, 3).tolist()
        phase = rng.uniform(0, 2 * np.pi, 3).tolist()
        blinks = np.cumsum(rng.uniform(0.6, 3.0, 8)) * FPS
        return cls(
            scene=Scene.draw(rng),
            smile=float(rng.normal(0, 0.12)),
            brow_lift=float(rng.normal(0, 0.15)),
            lids=float(rng.normal(0, 0.06)),
            sway_hz=(hz[0], hz[1], hz[2]),
            sway_phase=(phase[0], phase[1], phase[2]),
            blinks=tuple(int(frame) for frame in blinks if frame < frames - len(_BLINK)),
        )


def draw_face(
    speaker: Speaker, affect: Affect, opening: Floats, habits: FaceHabits, side: int
) -> Iterator[NDArray[np.uint8]]:
    """Draw a face frame by frame.

    Args:
        affect: at every frame.
        opening: of the mouth at every frame, in [0, 1].
        side: width and height of the picture in pixels, even.

    Yields:
        RGB, uint8 (side, side, 3).
    """
    light = lighting(habits.scene, side)
    for expression in _expressions(Feeling.of(affect), opening, habits):
        portrait = draw_portrait(speaker, expression, habits.scene, side)
        yield np.minimum(portrait * light, 255).astype(np.uint8)


def _expressions(feeling: Feeling, opening: Floats, habits: FaceHabits) -> list[Expression]:
    joy, anger, sorrow = feeling.joy, feeling.anger, feeling.sorrow
    times = np.arange(len(opening)) / FPS
    sideways, nod, tilt = (
        np.sin(2 * np.pi * hz * times + phase) for hz, phase in zip(habits.sway_hz, habits.sway_phase, strict=True)
    )
    lively = np.maximum(feeling.activation, 0) * np.sin(2 * np.pi * 1.7 * times + habits.sway_phase[0])
    eyes = 1 + habits.lids + 0.25 * feeling.activation - 0.35 * anger - 0.2 * sorrow
    for first in habits.blinks:
        eyes[first : first + len(_BLINK)] *= _BLINK
    tracks = {
        "corners": habits.smile + feeling.pleasure,
        "mouth_width": 1 + 0.3 * joy - 0.12 * anger - 0.1 * sorrow,
        "opening": opening * (1 + 0.35 * feeling.activation),
        "teeth": np.maximum(joy, anger),
        "brow_lift": habits.brow_lift + 0.6 * joy - 1.1 * anger + 0.3 * sorrow,
        "frown": anger,
        "worry": sorrow,
        "eyes": np.clip(eyes, 0.05, 1.6),
        "lower_lids": np.clip(0.6 * joy + 0.5 * anger, 0, 1),
        "gaze_down": sorrow,
        "cheeks": joy,
        "flush": anger,
        "shift": 0.008 * sideways + 0.006 * lively,
        "drop": 0.006 * nod + 0.03 * sorrow - 0.008 * opening * np.maximum(feeling.activation, 0),
        "tilt": 0.025 * tilt + 0.03 * lively,
    }
    rows = np.column_stack(list(tracks.values())).tolist()
    return [Expression(**dict(zip(tracks, row, strict=True))) for row in rows]
