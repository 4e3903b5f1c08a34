"""The records of `media`: what a clip may cost, what its header says, and what decoding gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Source: TypeAlias = Path | bytes
"""A clip: the path of a regular local file, or the file's bytes. Never a URL."""

Samples: TypeAlias = NDArray[np.float32]
"""Mono sound, float32 [n], full scale at 1."""


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Limits on the cost of a clip. Checked on the header before anything is decoded, and again while decoding.

    Args:
        max_bytes: size of the file.
        max_pixels: width times height of one frame.
        max_seconds: length of each stream.
        max_fps: frames a second, on average.
        max_streams: streams in the file, of any kind.
        max_packets: compressed packets in one stream.
        max_rate: sound samples a second.
        max_channels: sound channels.
        max_decoded_bytes: size of the array that one call returns.
    """

    max_bytes: int = 256 * 2**20
    max_pixels: int = 4096 * 2304
    max_seconds: float = 600.0
    max_fps: float = 240.0
    max_streams: int = 8
    max_packets: int = 1_000_000
    max_rate: int = 192_000
    max_channels: int = 8
    max_decoded_bytes: int = 4 * 2**30


DEFAULT_LIMITS = MediaLimits()


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of an encoding.

    Args:
        crf, qscale: of the pictures, for x264 and for mpeg4; lower is finer.
        sound_bits: of the sound, bits a second.
    """

    crf: int
    qscale: int
    sound_bits: int


FINE = Quality(crf=20, qscale=3, sound_bits=64_000)
"""For clips that are measured."""
SMALL = Quality(crf=30, qscale=10, sound_bits=24_000)
"""For clips that are only looked at."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Video as the header describes it: pixels as shown, frames a second on average, frames, seconds, FFmpeg's codec
    name, seconds after the clip's beginning at which it begins, and quarter turns, counterclockwise, by which stored
    frames are turned when they are shown (0 to 3)."""

    width: int
    height: int
    fps: float
    frames: int
    duration_s: float
    codec: str
    start_s: float = 0.0
    quarter_turns: int = 0

    @property
    def frame_s(self) -> float:
        """Seconds that a frame is shown, on average."""
        return self.duration_s / self.frames

    @property
    def end_s(self) -> float:
        """Seconds after the clip's beginning at which it ends."""
        return self.start_s + self.duration_s


@dataclass(frozen=True, slots=True)
class SoundInfo:
    """Sound as the header describes it: samples a second, channels, seconds, FFmpeg's codec name, and seconds after
    the clip's beginning at which it begins."""

    rate: int
    channels: int
    duration_s: float
    codec: str
    start_s: float = 0.0

    @property
    def end_s(self) -> float:
        """Seconds after the clip's beginning at which it ends."""
        return self.start_s + self.duration_s


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """Clip as the header describes it; at least one of the two streams is there."""

    video: VideoInfo | None
    sound: SoundInfo | None

    @property
    def duration_s(self) -> float:
        """Seconds from the beginning of the first stream to the end of the last."""
        return max(stream.end_s for stream in (self.video, self.sound) if stream is not None)


@dataclass(frozen=True, slots=True)
class Frames:
    """Decoded video: RGB pixels, uint8 [T, H, W, 3], `fps` of them a second."""

    pixels: NDArray[np.uint8]
    fps: float


@dataclass(frozen=True, slots=True)
class PacketDigests:
    """SHA-256 (hex) of every compressed packet of a clip, in stream order."""

    video: tuple[str, ...]
    sound: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StreamDigests:
    """The content of a clip's video and of its sound; None where the clip has no such stream."""

    video: str | None
    sound: str | None
