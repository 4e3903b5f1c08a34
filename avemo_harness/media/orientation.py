"""Frames as they are shown: cameras that are held upright store them lying, and say so in the header."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame


def upright_pixels(frame: VideoFrame, quarter_turns: int, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """A stored frame as it is shown.

    Args:
        quarter_turns: counterclockwise, 0 to 3.
        size: (width, height) in pixels, as shown, to scale to; None keeps the frame's.

    Returns:
        RGB, uint8 [H, W, 3].
    """
    stored = size if size is None or quarter_turns % 2 == 0 else (size[1], size[0])
    width, height = stored or (frame.width, frame.height)
    scaled = frame.to_ndarray(format="rgb24", width=width, height=height, **_one_thread())
    pixels = np.asarray(scaled, dtype=np.uint8)
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns))


@cache
def _one_thread() -> Mapping[str, Any]:
    """The arguments by which PyAV scales in one thread, to the same pixels.

    Else it starts as many as there are processors for every single frame, which takes five times as long.
    """
    from av import VideoFrame

    arguments: Mapping[str, Any] = {"threads": 1}
    try:
        VideoFrame(2, 2, "rgb24").reformat(format="gray", **arguments)
    except TypeError:  # older ones have no such argument, and no threads
        return {}
    return arguments


def upright_frame(frame: VideoFrame, quarter_turns: int) -> VideoFrame:
    """A frame as it is shown; one that is to be turned becomes yuv420p, for which its sides must be even.

    Its planes are turned one by one: on the way through RGB the colours of HD video would change.
    """
    if not quarter_turns:
        return frame
    from av import VideoFrame

    height, width = frame.height, frame.width
    planes = frame.to_ndarray(format="yuv420p").ravel()
    luma, chroma = height * width, height * width // 4
    turned = [np.rot90(planes[:luma].reshape(height, width), quarter_turns)]
    for start in (luma, luma + chroma):
        turned.append(np.rot90(planes[start : start + chroma].reshape(height // 2, width // 2), quarter_turns))
    shown = np.concatenate([plane.ravel() for plane in turned])
    return VideoFrame.from_ndarray(shown.reshape(-1, width if quarter_turns % 2 == 0 else height), "yuv420p")
