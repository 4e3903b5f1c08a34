"""Clips whose every frame and every tenth of a second of sound can be told from the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media

RATE = 16_000


def pattern(position: int, width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """A grey that grows with the position, and a bar that moves."""
    frame = np.full((height, width, 3), 20 + 2 * position, dtype=np.uint8)
    frame[:, 3 * position % width :][:, :8] = (250, 30, 60)
    return frame


def melody(seconds: float, rate: int = RATE, seed: int = 0) -> NDArray[np.float32]:
    """Tones of 0.1 s with a little noise."""
    count = round(seconds * rate)
    times = np.arange(count) / rate
    hz = 200 + 100 * (np.floor(times * 10) % 7)
    noise = np.random.default_rng(seed).standard_normal(count)
    return (0.3 * np.sin(2 * np.pi * hz * times) + 0.01 * noise).astype(np.float32)


def make_clip(seconds: float, seed: int = 0) -> bytes:
    frames = (pattern(position + seed) for position in range(round(25 * seconds)))
    return media.encode_clip(frames, melody(seconds, seed=seed))


def positions(frames: media.Frames) -> list[int]:
    """Index of the pattern that each frame shows."""
    patterns = np.stack([pattern(position) for position in range(100)]).astype(int)
    return [int(np.abs(patterns - pixels).mean(axis=(1, 2, 3)).argmin()) for pixels in frames.pixels]
