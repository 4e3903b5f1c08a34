"""One row of numbers for a face: oriented gradients, change since the first frame, movement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.classification import Floats

SIDE = 48
"""Pixels a side of the grey picture that the features see."""
LIVE_MOTION = 4.0
"""Motion from which a face is alive. A frozen video that was coded again stays below 2, a speaking face is above 20."""

_CELL = 6
_ORIENTATIONS = 8
_LEAST_CONTRAST = 4.0
"""Grey levels added to the contrast that a clip is divided by, so that a flat picture stays flat."""
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class FaceFeatures:
    """The face of one clip.

    Attributes:
        values: float64 (n_values,), finite; the same length for every clip.
        motion: largest change since the first frame, in grey levels [0, 255]: mean of the 1 % most changed pixels.
    """

    values: Floats
    motion: float

    @property
    def is_live(self) -> bool:
        """True where the face moves, False where one frame is repeated."""
        return self.motion >= LIVE_MOTION


def face_features(frames: NDArray[np.uint8]) -> FaceFeatures:
    """Describe the face in a clip.

    Args:
        frames: RGB, shape (T, H, W, 3) with T >= 1, about five a second.

    Raises:
        ValueError: the frames have another shape or type.

    >>> face_features(np.zeros((3, 64, 64, 3), dtype=np.uint8)).is_live
    False
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or frames.size == 0:
        raise ValueError(
            f"expected RGB frames as uint8 (T, H, W, 3), found {frames.dtype} {frames.shape}; "
            "decode them with decode_frames"
        )
    return describe_clip(grey_squares(frames))


def describe_clip(squares: NDArray[np.float32]) -> FaceFeatures:
    """As `face_features`, of frames that `grey_squares` has shrunk."""
    grey = squares.astype(np.float64)
    since_first = grey - grey[0]
    motion = np.sort(np.abs(since_first).reshape(len(grey), -1), axis=1)[:, -(SIDE * SIDE // 100) :].mean(axis=1).max()
    face = normalised(squares)
    # A clip needs a moment to leave its first expression.
    return FaceFeatures(describe_face(face[0], face[len(face) // 4 :]), float(motion))


def normalised_face(frames: NDArray[np.uint8]) -> Floats:
    """Grey pictures of the middle of the frames, brightness and contrast relative to the first, (T, SIDE, SIDE).

    Args:
        frames: as for `face_features`.
    """
    return normalised(grey_squares(frames))


def describe_face(first: Floats, expressive: Floats) -> Floats:
    """The row of features of normalised pictures (T, SIDE, SIDE), as they are and relative to the first one."""
    return _describe(expressive, _outlines(expressive), first, _outlines(first[None])[0])


def describe_spans(face: Floats, spans: Iterable[slice]) -> list[Floats]:
    """A row of features of each span of normalised pictures (T, SIDE, SIDE), relative to the first of all."""
    outlines = _outlines(face)  # once, since spans overlap
    return [_describe(face[span], outlines[span], face[0], outlines[0]) for span in spans]


def _describe(expressive: Floats, outlines: Floats, first: Floats, first_outline: Floats) -> Floats:
    change = expressive.mean(axis=0) - first
    liveliness = expressive.std(axis=0)
    outline = outlines.mean(axis=0)
    return np.concatenate(
        [
            _mirror_outlines(outline).ravel(),
            _mirror_outlines(outline - first_outline).ravel(),
            _mirror(_cell_means(change, 4)).ravel(),
            _mirror(_cell_means(liveliness, _CELL)).ravel(),
            # Rows of a face are its regions: brows, eyes, mouth.
            change.mean(axis=1),
            np.abs(change).mean(axis=1),
            liveliness.mean(axis=1),
        ]
    )


def _outlines(pictures: Floats) -> Floats:
    """Histograms of oriented gradients of cells, each picture scaled to norm 10, shape (T, orientations, 8, 8).

    Dalal and Triggs 2005, "Histograms of oriented gradients for human detection", without overlapping blocks. Bin k
    holds edges whose gradient points along k * pi / orientations; a gradient is shared by the two nearest bins.
    """
    down, across = np.gradient(pictures, axis=(1, 2))
    strength = np.hypot(down, across)
    bins = np.arctan2(down, across) / np.pi * _ORIENTATIONS
    share = np.empty((len(pictures), _ORIENTATIONS, *pictures.shape[1:]))
    for orientation in range(_ORIENTATIONS):
        distance = bins - orientation + _ORIENTATIONS / 2
        # The remainder by _ORIENTATIONS, to the same bits: values are within one and a half of it on either side of 0.
        distance[distance >= _ORIENTATIONS] -= _ORIENTATIONS
        distance[distance < -_ORIENTATIONS] += _ORIENTATIONS
        distance[distance < 0] += _ORIENTATIONS
        nearness = 1 - np.abs(distance - _ORIENTATIONS / 2)
        np.multiply(np.maximum(0, nearness), strength, out=share[:, orientation])
    histograms = _cell_means(share, _CELL)
    norm = np.sqrt((histograms**2).sum(axis=(1, 2, 3), keepdims=True))
    scaled: Floats = 10 * histograms / np.maximum(norm, 1e-6)
    return scaled


def _cell_means(pictures: Floats, cell: int) -> Floats:
    """Mean of square cells, shape (..., SIDE / cell, SIDE / cell)."""
    cells = SIDE // cell
    means: Floats = pictures.reshape(*pictures.shape[:-2], cells, cell, cells, cell).mean(axis=(-3, -1))
    return means


def _mirror(cells: Floats) -> Floats:
    """Average the two halves of a face: an expression is much the same on both sides, light and pose are not."""
    half = cells.shape[-1] // 2
    return (cells[..., :half] + cells[..., : half - 1 : -1]) / 2


def _mirror_outlines(histograms: Floats) -> Floats:
    """Average the halves of (orientations, 8, 8): in a mirror, orientation k becomes -k."""
    opposite = histograms[-np.arange(_ORIENTATIONS) % _ORIENTATIONS]
    half = histograms.shape[-1] // 2
    return (histograms[..., :half] + opposite[..., : half - 1 : -1]) / 2


def normalised(squares: NDArray[np.float32]) -> Floats:
    """As `normalised_face`, of frames that `grey_squares` has shrunk."""
    grey = squares.astype(np.float64)
    face: Floats = (grey - grey[0].mean()) / (grey[0].std() + _LEAST_CONTRAST)
    return face


def grey_squares(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Cut the middle square out of every frame and shrink it by area to grey, shape (T, SIDE, SIDE)."""
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    shrink = _area_weights(side)
    squares = frames[:, top : top + side, left : left + side]
    return np.stack([shrink @ (square @ _GREY) @ shrink.T for square in squares])


@lru_cache(maxsize=16)
def _area_weights(side: int) -> NDArray[np.float32]:
    """Rows that average ``side`` pixels into SIDE equal parts, shape (SIDE, side)."""
    edges = np.linspace(0, side, SIDE + 1)
    pixels = np.arange(side)
    overlap: Floats = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.maximum(0, overlap) * SIDE / side).astype(np.float32)
