"""The files of a study: loudness-normalized (ITU-R BS.1770-4), without metadata, named by content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.files import write_atomically
from avemo_harness.human.study import MEDIA, DeviceCheck, Segment, make_private_folder
from avemo_harness.media import Samples

RATE = 48_000
"""Samples a second: the only rate that the standard gives its filters for."""
TARGET_LUFS = -23.0
PEAK = 0.98
_SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
_HIGH_PASS = (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)
_BLOCK, _STEP = int(0.4 * RATE), int(0.1 * RATE)
_ABSOLUTE_GATE, _RELATIVE_GATE = -70.0, -10.0


def loudness(samples: Samples) -> float:
    """Integrated loudness of mono sound in LUFS; minus infinity for silence.

    Args:
        samples: float [n] at `RATE`, full scale at 1. What is shorter than a block of 0.4 s counts as one.

    >>> time = np.arange(RATE) / RATE
    >>> round(loudness(np.sin(2 * np.pi * 997 * time).astype(np.float32)), 1)
    -3.0
    """
    from scipy.signal import lfilter

    weighted = lfilter(*_HIGH_PASS, lfilter(*_SHELF, samples.astype(np.float64)))
    starts = np.arange(0, max(len(weighted) - _BLOCK, 0) + 1, _STEP)
    power = np.array([np.mean(weighted[start : start + _BLOCK] ** 2) for start in starts])
    power = power[_lufs(power) > _ABSOLUTE_GATE]
    if not len(power):
        return float("-inf")
    power = power[_lufs(power) > _lufs(power.mean()) + _RELATIVE_GATE]
    return float(_lufs(power.mean()))


def normalize_loudness(samples: Samples) -> Samples:
    """The sound at `TARGET_LUFS`, or as near to it as its peaks allow; silence stays as it is."""
    found = loudness(samples)
    if not np.isfinite(found):
        return samples
    gain = min(10 ** ((TARGET_LUFS - found) / 20), PEAK / float(np.abs(samples).max()))
    return np.asarray(samples * gain, np.float32)


def _lufs(power: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return -0.691 + 10 * np.log10(power)


REPLY_RATE = 24_000
"""Samples a second of every reply, so that none is known by its bandwidth alone."""
_FPS = 25
_BEEP_S, _GAP_S = 0.18, 0.22
_PLAYABLE = "h264"


class StudyMedia:
    """The folder of a study's files; equal content is written once.

    Raises:
        StoreError: the study's folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        make_private_folder(folder)
        self._folder = folder / MEDIA

    def user(self, clip: Clip) -> Segment:
        """The user's clip: its pictures as they are (h264; others are encoded anew), its sound levelled.

        Raises:
            MediaError: the clip cannot be read, or has no sound.
        """
        data = clip.read()
        sound = normalize_loudness(media.decode_sound(data, rate=RATE))
        info = media.probe(data)
        if info.video is None:
            return self._keep("user", media.encode_sound(sound, RATE))
        if info.video.codec == _PLAYABLE:
            return self._keep("user", media.replace_sound(data, sound, rate=RATE))
        frames = media.decode_frames(data, fps=_FPS, size=_even_size(info.video))
        return self._keep("user", media.encode_clip(frames.pixels, sound, fps=_FPS, rate=RATE))

    def reply(self, source: Path, beeps: int = 0) -> Segment:
        """A spoken reply, with beeps behind it where it is a trap.

        Raises:
            MediaError: the reply cannot be read.
        """
        return self.voice(*media.read_sound_file(source), beeps)

    def voice(self, samples: Samples, rate: int, beeps: int = 0) -> Segment:
        """A reply's sound, float32 mono, as all replies are heard."""
        sound = normalize_loudness(media.resample(samples, rate, RATE))
        if beeps:
            sound = np.concatenate([sound, np.zeros(int(0.5 * RATE), np.float32), beeps_sound(beeps)])
        return self._keep("reply", media.encode_sound(media.resample(sound, RATE, REPLY_RATE), REPLY_RATE))

    def device_check(self, digit: int, beeps: int) -> DeviceCheck:
        """A clip with a digit to see and beeps to count."""
        silence = np.zeros(int(0.4 * RATE), np.float32)
        sound = np.concatenate([silence, beeps_sound(beeps), silence])
        frames = [_picture_of(digit)] * round(len(sound) / RATE * _FPS)
        kept = self._keep("user", media.encode_clip(frames, sound, fps=_FPS, rate=RATE))
        return DeviceCheck(kept.media, digit, beeps)

    def _keep(self, speaker: Literal["user", "reply"], data: bytes) -> Segment:
        name = hashlib.sha256(data).hexdigest()[:32]
        path = self._folder / f"{name}.mp4"
        if not path.exists():
            write_atomically(path, data)
        return Segment(speaker, name, round(media.probe(data).duration_s, 3))


def beeps_sound(count: int) -> Samples:
    """That many short beeps at the study's loudness, float32 at `RATE`."""
    time = np.arange(int(_BEEP_S * RATE)) / RATE
    shape = np.minimum(1, np.minimum(time, _BEEP_S - time) / 0.02)
    beep = np.sin(2 * np.pi * 880 * time) * shape * 10 ** (TARGET_LUFS / 20) * np.sqrt(2)
    gap = np.zeros(int(_GAP_S * RATE))
    return np.concatenate([part for _ in range(count) for part in (beep, gap)]).astype(np.float32)


def _even_size(video: media.VideoInfo) -> tuple[int, int]:
    return video.width - video.width % 2, video.height - video.height % 2


def _picture_of(digit: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (240, 240), (24, 34, 54))
    font = ImageFont.load_default(size=160)
    ImageDraw.Draw(picture).text((120, 120), str(digit), fill=(255, 255, 255), anchor="mm", font=font)
    return np.asarray(picture, dtype=np.uint8)
