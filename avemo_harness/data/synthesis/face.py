"""A cartoon face that speaks: facial action units from valence and arousal, drawn frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.data.synthesis.affect import Affect, AffectCues, Colour, Floats, Speaker

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_FINE = 2
"""Pictures are drawn this many times larger and shrunk, for smooth edges."""
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 40, endpoint=False)) for f in (np.cos, np.sin)], axis=1)
_ACROSS = np.linspace(-1, 1, 17)
_BULGE = 1 - _ACROSS**2

_WHITE: Colour = (250, 250, 248)
_DARK: Colour = (44, 34, 32)
_LIPS: Colour = (168, 78, 78)
_MOUTH: Colour = (104, 34, 40)
_FLUSHED: Colour = (214, 84, 76)


@dataclass(frozen=True, slots=True)
class CameraSetup:
    """Framing, background and light of one recording.

    Args:
        zoom: size of the head, about 1.
        offset: of the middle of the face from the picture's, as shares of its side.
        background: colours at its top and bottom.
        light_angle: where light comes from, in radians.
        light_contrast: how much darker the far side is, in [0, 1].
        brightness: factor on everything, about 1.
    """

    zoom: float
    offset: tuple[float, float]
    background: tuple[Colour, Colour]
    light_angle: float
    light_contrast: float
    brightness: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> CameraSetup:
        x, y = rng.uniform(-0.04, 0.04, 2).tolist()
        top = rng.integers(120, 215) + rng.integers(-22, 23, 3)
        bottom = top + rng.integers(-45, 20) + rng.integers(-8, 9, 3)
        return cls(
            zoom=float(rng.uniform(0.88, 1.12)),
            offset=(x, y),
            background=(_colour(top.tolist()), _colour(bottom.tolist())),
            light_angle=float(rng.uniform(0, 2 * np.pi)),
            light_contrast=float(rng.uniform(0, 0.35)),
            brightness=float(rng.uniform(0.85, 1.1)),
        )


@dataclass(frozen=True, slots=True)
class Expression:
    """Facial action units (Ekman and Friesen) at one moment. Unless said otherwise 0 is at rest and 1 at most.

    Args:
        corners: of the mouth, up to 1 raised (AU12), down to -1 lowered (AU15).
        mouth_width, eyes: factors on width and opening at rest.
        opening: of the mouth.
        teeth: share of them that shows in an open mouth.
        brow_lift: height of the brows, 1 raised, -1 lowered.
        frown: inner ends of the brows lowered (AU4); worry: raised (AU1).
        lower_lids: raised into the eyes (AU7).
        gaze_down, cheeks, flush: eyes turned down, cheeks raised and rosy, face reddened.
        shift, drop, tilt: of the head: right and down as shares of the side, radians.
    """

    corners: float
    mouth_width: float
    opening: float
    teeth: float
    brow_lift: float
    frown: float
    worry: float
    eyes: float
    lower_lids: float
    gaze_down: float
    cheeks: float
    flush: float
    shift: float
    drop: float
    tilt: float


@dataclass(frozen=True, slots=True)
class _FaceCanvas:
    """Draws in face coordinates, wherever the head is; `turn` is the matrix by which points are tilted."""

    target: ImageDraw
    middle: Floats
    scale: float
    turn: Floats

    @classmethod
    def tilted(cls, target: ImageDraw, middle: tuple[float, float], scale: float, tilt: float) -> _FaceCanvas:
        cosine, sine = np.cos(tilt), np.sin(tilt)
        return cls(target, np.array(middle), scale, np.array([[cosine, sine], [-sine, cosine]]))

    def area(self, points: Floats, colour: Colour) -> None:
        self.target.polygon(self._pixels(points), fill=colour)

    def oval(self, x: float, y: float, half_width: float, half_height: float, colour: Colour) -> None:
        self.area(_CIRCLE * np.array((half_width, half_height)) + np.array((x, y)), colour)

    def line(self, points: Floats, width: float, colour: Colour) -> None:
        self.target.line(self._pixels(points), fill=colour, width=max(1, round(width * self.scale)))

    def _pixels(self, points: Floats) -> list[float]:
        pixels: list[float] = (points @ self.turn * self.scale + self.middle).ravel().tolist()
        return pixels


def draw_portrait(speaker: Speaker, expression: Expression, scene: CameraSetup, side: int) -> NDArray[np.uint8]:
    """Draw one picture, RGB uint8 (side, side, 3), evenly lit."""
    from PIL import ImageDraw

    fine = side * _FINE
    image = _background(scene.background, fine).copy()
    target = ImageDraw.Draw(image)
    x, y = 0.5 + scene.offset[0], 0.5 + scene.offset[1]
    scale = fine * scene.zoom
    body = _FaceCanvas.tilted(target, (fine * x, fine * y), scale, 0.0)
    head = _FaceCanvas.tilted(
        target, (fine * x + scale * expression.shift, fine * y + scale * expression.drop), scale, expression.tilt
    )
    _draw_body(body, head, speaker)
    skin = _mix(speaker.skin, _FLUSHED, 0.22 * expression.flush)
    _draw_head(head, speaker, skin)
    _draw_cheeks(head, speaker, skin, expression.cheeks)
    for facing in (-1, 1):
        _draw_eye(head, speaker, skin, expression, facing)
    _draw_nose(head, speaker, skin)
    _draw_mouth(head, speaker, skin, expression)
    return np.asarray(image.reduce(_FINE))


def lighting(scene: CameraSetup, side: int) -> NDArray[np.float32]:
    """Factors on every pixel of a picture, float32 (side, side, 1)."""
    across = np.linspace(-1, 1, side)
    ramp = np.cos(scene.light_angle) * across[None, :] + np.sin(scene.light_angle) * across[:, None]
    factors: NDArray[np.float32] = (scene.brightness * (1 + 0.5 * scene.light_contrast * ramp)).astype(np.float32)
    return factors[:, :, None]


@lru_cache(maxsize=4)
def _background(colours: tuple[Colour, Colour], fine: int) -> Image:
    """The background of every frame of a recording, from its colours at the top and the bottom."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (fine, fine), colours[1])
    target = ImageDraw.Draw(image)
    bands = 24
    for band in range(bands):
        colour = _mix(*colours, band / (bands - 1))
        target.rectangle([0, band * fine // bands, fine, (band + 1) * fine // bands], fill=colour)
    return image


def _draw_body(body: _FaceCanvas, head: _FaceCanvas, speaker: Speaker) -> None:
    w, h = speaker.face_width, speaker.face_height
    hair = _mix(speaker.hair, _DARK, 0.25)
    if speaker.hair_style == "long":
        head.oval(0, 0.15 * h, 1.2 * w, 1.3 * h, hair)
        head.area(np.array([[-1.2 * w, 0.1 * h], [1.2 * w, 0.1 * h], [1.15 * w, 1.5 * h], [-1.15 * w, 1.5 * h]]), hair)
    elif speaker.hair_style == "bob":
        head.oval(0, 0, 1.25 * w, 1.12 * h, hair)
    body.oval(0, 1.95 * h, 1.75 * w, 0.78 * h, speaker.clothes)
    neck = np.array([[-0.4 * w, 0.6 * h], [0.4 * w, 0.6 * h], [0.48 * w, 1.3 * h], [-0.48 * w, 1.3 * h]])
    body.area(neck, _mix(speaker.skin, _DARK, 0.2))


def _draw_head(pen: _FaceCanvas, speaker: Speaker, skin: Colour) -> None:
    w, h = speaker.face_width, speaker.face_height
    shade = _mix(skin, _DARK, 0.12)
    if speaker.hair_style == "bun":
        pen.oval(0, -1.22 * h, 0.42 * w, 0.26 * h, speaker.hair)
    for side in (-1, 1):
        pen.oval(side * w, 0.02 * h, 0.13 * w, 0.17 * h, shade)
    # The cap of hair lies behind the face, whose oval cuts the hairline.
    pen.oval(0, -0.2 * h, 1.07 * w, 0.92 * h, speaker.hair)
    if speaker.hair_style == "curly":
        for angle in np.linspace(np.pi, 2 * np.pi, 9).tolist():
            pen.oval(1.0 * w * np.cos(angle), -0.25 * h + 0.85 * h * np.sin(angle), 0.27 * w, 0.22 * h, speaker.hair)
    pen.oval(0, 0.09 * h, w, 0.91 * h, skin)
    if speaker.hair_style in ("parted", "bob"):
        fringe = [
            [-1.02 * w, -0.2 * h],
            [-0.9 * w, -0.8 * h],
            [0, -1.05 * h],
            [0.9 * w, -0.8 * h],
            [1.02 * w, -0.2 * h],
        ]
        inner = [[0.8 * w, -0.5 * h], [-0.2 * w, -0.68 * h], [-0.8 * w, -0.45 * h]]
        pen.area(np.array(fringe + inner), speaker.hair)


def _draw_cheeks(pen: _FaceCanvas, speaker: Speaker, skin: Colour, raised: float) -> None:
    if raised <= 0:
        return
    for side in (-1, 1):
        x, y = side * 0.58 * speaker.face_width, (0.33 - 0.05 * raised) * speaker.face_height
        pen.oval(x, y, 0.22 * speaker.face_width, 0.12 * speaker.face_height, _mix(skin, _FLUSHED, 0.3 * raised))


def _draw_eye(pen: _FaceCanvas, speaker: Speaker, skin: Colour, expression: Expression, facing: int) -> None:
    """Draw one eye, its brow and its glass; facing -1 is the left one in the picture."""
    w, h = speaker.face_width, speaker.face_height
    x, y = facing * 0.43 * w * speaker.eye_distance, -0.1 * h
    half_width, open_by = 0.2 * w * speaker.eye_size, 0.105 * h * speaker.eye_size * expression.eyes
    upper = _arc(x, y, half_width, -open_by)
    lower = _arc(x, y, half_width, open_by * (1 - 0.8 * expression.lower_lids))
    white = np.concatenate([upper, lower[::-1]])
    pen.area(white, _WHITE)
    iris = min(0.1 * w * speaker.eye_size, 0.95 * open_by)
    pen.oval(x, y + 0.035 * h * expression.gaze_down - 0.1 * expression.lower_lids * open_by, iris, iris, _DARK)
    lid = _mix(skin, _DARK, 0.55)
    # Anger pulls the inner end of the lid down, sadness its outer end.
    slant = facing * np.array([0.0, 1.0]) * np.linspace(-1, 1, len(upper))[:, None]
    droop = 0.03 * h * (expression.worry - expression.frown)
    pen.line(upper + slant * droop, 0.014, lid)
    pen.line(lower, 0.006, lid)
    brow = y - h * (0.26 + 0.055 * expression.brow_lift)
    inner = brow + h * (0.11 * expression.frown - 0.12 * expression.worry)
    outer = brow + h * (-0.05 * expression.frown + 0.06 * expression.worry)
    arch = brow - 0.035 * h * (1 - expression.frown) - 0.02 * h * expression.worry
    points = [
        [x - facing * 1.05 * half_width, inner],
        [x, (inner + outer) / 4 + arch / 2],
        [x + facing * 1.25 * half_width, outer],
    ]
    pen.line(np.array(points), 0.024 * speaker.brow_weight, _mix(speaker.hair, _DARK, 0.4))
    if speaker.glasses:
        ring = _CIRCLE * (0.31 * w, 0.2 * h) + (x, y)
        pen.line(np.concatenate([ring, ring[:2]]), 0.008, _DARK)
        pen.line(np.array([[facing * 0.02 * w, y], [x - facing * 0.31 * w, y]]), 0.008, _DARK)


def _draw_nose(pen: _FaceCanvas, speaker: Speaker, skin: Colour) -> None:
    w, h = speaker.face_width, speaker.face_height
    pen.line(np.array([[0.02 * w, 0.0], [-0.09 * w, 0.24 * h], [0.07 * w, 0.26 * h]]), 0.009, _mix(skin, _DARK, 0.25))


def _draw_mouth(pen: _FaceCanvas, speaker: Speaker, skin: Colour, expression: Expression) -> None:
    w, h = speaker.face_width, speaker.face_height
    half_width = 0.4 * w * speaker.mouth_width * expression.mouth_width
    curve = 0.15 * h * expression.corners * (_BULGE - 0.5)
    gap = 0.24 * h * max(0.0, expression.opening)
    x, y = _ACROSS * half_width, 0.53 * h + curve
    upper = np.stack([x, y - 0.35 * gap * _BULGE], axis=1)
    lower = np.stack([x, y + 0.65 * gap * _BULGE], axis=1)
    pen.area(np.concatenate([upper, lower[::-1]]), _MOUTH)
    teeth = min(0.5 * gap, 0.045 * h) * expression.teeth
    if teeth > 0.004:
        top = upper[3:-3]
        pen.area(np.concatenate([top, top[::-1] + np.array([0.0, teeth])]), _WHITE)
    lips = _mix(_mix(skin, _DARK, 0.35), _LIPS, 0.6)
    pen.line(upper, 0.013, lips)
    pen.line(lower, 0.016, lips)


def _arc(x: float, y: float, half_width: float, height: float) -> Floats:
    return np.stack([x + half_width * _ACROSS, y + height * _BULGE], axis=1)


@lru_cache(maxsize=1024)
def _mix(first: Colour, second: Colour, share: float) -> Colour:
    """Colour between two, `share` of the way to the second.

    >>> _mix((0, 0, 0), (200, 100, 50), 0.5)
    (100, 50, 25)
    """
    share = min(max(share, 0.0), 1.0)
    return _colour([round(a + share * (b - a)) for a, b in zip(first, second, strict=True)])


def _colour(parts: Sequence[int]) -> Colour:
    red, green, blue = (int(part) for part in parts)
    return red, green, blue


FPS = 25

_BLINK = np.array([0.55, 0.05, 0.05, 0.55])
"""Opening of the eyes in the frames of a blink, relative to before."""


@dataclass(frozen=True, slots=True)
class FaceVariation:
    """Variation between recordings of a face that says nothing of emotion.

    Args:
        scene: framing, background and light.
        smile, brow_lift, lids: of the face at rest, added to what is expressed.
        sway_hz, sway_phase: of the head's slow movement: sideways, up and down, and tilting.
        blinks: first frame of each blink.
    """

    scene: CameraSetup
    smile: float
    brow_lift: float
    lids: float
    sway_hz: tuple[float, float, float]
    sway_phase: tuple[float, float, float]
    blinks: tuple[int, ...]

    @classmethod
    def draw(cls, frames: int, rng: np.random.Generator) -> FaceVariation:
        hz = rng.uniform(0.15, 0.5, 3).tolist()
        phase = rng.uniform(0, 2 * np.pi, 3).tolist()
        blinks = np.cumsum(rng.uniform(0.6, 3.0, 8)) * FPS
        return cls(
            scene=CameraSetup.draw(rng),
            smile=float(rng.normal(0, 0.12)),
            brow_lift=float(rng.normal(0, 0.15)),
            lids=float(rng.normal(0, 0.06)),
            sway_hz=(hz[0], hz[1], hz[2]),
            sway_phase=(phase[0], phase[1], phase[2]),
            blinks=tuple(int(frame) for frame in blinks if frame < frames - len(_BLINK)),
        )


def draw_face(
    speaker: Speaker, affect: Affect, opening: Floats, habits: FaceVariation, side: int
) -> Iterator[NDArray[np.uint8]]:
    """Draw a face frame by frame.

    Args:
        affect: at every frame.
        opening: of the mouth at every frame, in [0, 1].
        side: width and height of the picture in pixels, even.

    Yields:
        RGB, uint8 (side, side, 3).
    """
    # A factor for each colour too: NumPy is several times slower where it has to spread them over the three.
    light = np.repeat(lighting(habits.scene, side), 3, axis=2)
    for expression in _expressions(AffectCues.of(affect), opening, habits):
        portrait = draw_portrait(speaker, expression, habits.scene, side)
        lit = portrait * light
        yield np.minimum(lit, 255, out=lit).astype(np.uint8)


def _expressions(cues: AffectCues, opening: Floats, habits: FaceVariation) -> list[Expression]:
    joy, anger, sorrow = cues.joy, cues.anger, cues.sorrow
    times = np.arange(len(opening)) / FPS
    sideways, nod, tilt = (
        np.sin(2 * np.pi * hz * times + phase) for hz, phase in zip(habits.sway_hz, habits.sway_phase, strict=True)
    )
    lively = np.maximum(cues.activation, 0) * np.sin(2 * np.pi * 1.7 * times + habits.sway_phase[0])
    eyes = 1 + habits.lids + 0.25 * cues.activation - 0.35 * anger - 0.2 * sorrow
    for first in habits.blinks:
        eyes[first : first + len(_BLINK)] *= _BLINK
    tracks = {
        "corners": habits.smile + cues.pleasure,
        "mouth_width": 1 + 0.3 * joy - 0.12 * anger - 0.1 * sorrow,
        "opening": opening * (1 + 0.35 * cues.activation),
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
        "drop": 0.006 * nod + 0.03 * sorrow - 0.008 * opening * np.maximum(cues.activation, 0),
        "tilt": 0.025 * tilt + 0.03 * lively,
    }
    rows = np.column_stack(list(tracks.values())).tolist()
    return [Expression(**dict(zip(tracks, row, strict=True))) for row in rows]
