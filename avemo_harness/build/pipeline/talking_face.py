"""What the video of an animation tool must be: whole, of the size and rate that was declared, and a face that moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avemo_harness import media
from avemo_harness.build.pipeline.speech_answer import SILENCE
from avemo_harness.errors import MediaError
from avemo_harness.media import DEFAULT_LIMITS
from avemo_harness.media.reader import open_media

SLACK_FRAMES = 3
"""Frames by which a video may be shorter or longer than the voice."""
LEAST_MOTION = 1.0
"""Grey levels, of 255, by which the liveliest twentieth of a small picture changes from frame to frame.

Talking faces change by 4 to 10 on average and by more than 2 in each second, still pictures by less than 0.1.
"""
_SIDE = 64


@dataclass(frozen=True, slots=True)
class FaceRules:
    """What is declared of a tool's videos.

    Args:
        fps: frames a second.
        min_side: width and height in pixels at least.
    """

    fps: float
    min_side: int


def check_talking_face(clip: bytes, duration_s: float, rules: FaceRules) -> None:
    """Refuse a video that is not the talking face of a voice.

    Args:
        duration_s: of the voice.

    Raises:
        MediaError: it does not decode to its end, has not exactly one video stream, another size, rate or length,
            sound that is silent, or a picture that stands still.
    """
    with open_media(clip, DEFAULT_LIMITS) as opened:
        streams, info = len(opened.container.streams.video), opened.info
    if streams != 1 or info.video is None:
        raise MediaError(f"it has {streams} video streams, expected is one")
    video = info.video
    if abs(video.fps - rules.fps) > 0.01:
        raise MediaError(f"it has {video.fps:g} frames a second, declared are {rules.fps:g}")
    if min(video.width, video.height) < rules.min_side:
        raise MediaError(f"it has {video.width}x{video.height} pixels, each side must have {rules.min_side} at least")
    if abs(video.duration_s - duration_s) > (SLACK_FRAMES + 1e-3) / rules.fps:
        raise MediaError(
            f"it lasts {video.duration_s:.2f} s and the voice {duration_s:.2f} s, more than {SLACK_FRAMES} frames apart"
        )
    if info.sound is not None and np.abs(media.decode_sound(clip)).max() < SILENCE:
        raise MediaError("its sound is silent; give a tool that keeps the voice, or none at all")
    moving = _moving_share(clip)
    if moving < 0.5:
        raise MediaError(f"its picture moves in {moving:.0%} of its seconds: it is no talking face")


def _moving_share(clip: bytes) -> float:
    """Share of the seconds of a video in which its picture moves; it is decoded to its end."""
    frames = media.decode_frames(clip, size=(_SIDE, _SIDE))
    grey = frames.pixels.astype(np.float32).mean(axis=3).reshape(len(frames.pixels), -1)
    changes = np.abs(np.diff(grey, axis=0))
    if not len(changes):
        return 0.0
    seconds = np.array_split(changes, max(1, round(len(changes) / frames.fps)))
    liveliest = [np.sort(second.mean(axis=0))[-(_SIDE**2) // 20 :].mean() for second in seconds]
    return float(np.mean([change >= LEAST_MOTION for change in liveliest]))
