"""Made-up voices and faces whose properties are known exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 16_000


def tone(hz: float | NDArray[np.float64], seconds: float = 2.0) -> NDArray[np.float32]:
    """Seven harmonics of a pitch that may change from sample to sample, peak about 0.2."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, round(seconds * RATE))) / RATE
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, 8))).astype(np.float32)


def vibrato(hz: float, depth_semitones: float, seconds: float = 2.0) -> NDArray[np.float64]:
    """A pitch in Hz that swings five times a second around ``hz``, one value a sample."""
    time = np.arange(round(seconds * RATE)) / RATE
    return hz * 2 ** (depth_semitones / 12 * np.sin(2 * np.pi * 5 * time))


def syllables(sound: NDArray[np.float32], rate_hz: float) -> NDArray[np.float32]:
    """The sound in smooth bursts, ``rate_hz`` of them a second."""
    time = np.arange(len(sound)) / RATE
    return (sound * np.maximum(0.01, np.sin(np.pi * rate_hz * time) ** 2)).astype(np.float32)


def face(smile: NDArray[np.float64], *, brightness: float = 1.0, mirrored: bool = False) -> NDArray[np.uint8]:
    """Frames (T, 96, 96, 3) of a drawn face whose mouth bends by ``smile`` (T,) in [-1, 1]."""
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    frames = np.full((len(smile), 96, 96), 90.0)
    frames[:, x**2 / 0.5 + y**2 / 0.7 < 1] = 190.0
    for side in (-0.3, 0.3):
        frames[:, (x - side) ** 2 + (y + 0.25) ** 2 < 0.012] = 30.0
    frames[:, (np.abs(x + 0.55) < 0.03) & (np.abs(y) < 0.1)] = 60.0  # a mole: the two sides differ
    for frame, bend in zip(frames, smile, strict=True):
        corners = 0.45 - 0.5 * bend * (x**2 - 0.05)
        frame[(np.abs(x) < 0.35) & (np.abs(y - corners) < 0.04)] = 70.0
    pixels = np.clip(frames * brightness, 0, 255).astype(np.uint8)
    return np.repeat((pixels[:, :, ::-1] if mirrored else pixels)[..., None], 3, axis=3)


def onset(target: float, frames: int = 12) -> NDArray[np.float64]:
    """A smile that starts at 0 and reaches ``target`` within three frames."""
    return target * np.minimum(1.0, np.arange(frames) / 3)
