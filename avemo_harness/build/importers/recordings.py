"""The ways in which files of a corpus become clips: as they are, encoded anew, or the sound of one with another's face.

Conditions copy packets, which only MP4 files allow: video in any other container is encoded anew, and so is an MP4 of
which a condition cannot be made or that is stored turned.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.conditions import require_conditions
from avemo_harness.build.importers.base import Recording
from avemo_harness.build.importers.source import Source
from avemo_harness.errors import MediaError

FPS = 25
RATE = 16_000
MAX_DRIFT_S = 0.25
"""By how much the face's file may be longer or shorter than that of the sound."""

OTHER_CONTAINERS = (".flv", ".avi", ".mkv", ".webm")
SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a")
VIDEOS = (".mp4", ".m4v", ".mov", ".3gp", ".3g2", *OTHER_CONTAINERS)


@dataclass(frozen=True)
class WholeFile:
    """A file as it is."""

    source: Source
    name: str

    @property
    def ending(self) -> str:
        return PurePosixPath(self.name).suffix.lower()

    @property
    def readable_in_place(self) -> bool:
        return self.source.is_local(self.name)

    def make(self) -> bytes:
        return self.source.read(self.name)


@dataclass(frozen=True)
class UnusableFile:
    """A file that a corpus names and that gives no clip, as others turn out to be damaged."""

    name: str
    reason: str
    ending: str = ""
    readable_in_place: bool = True

    def make(self) -> bytes:
        raise MediaError(f"{self.name}: {self.reason}")


@dataclass(frozen=True)
class EncodedAnew:
    """A file in another container, encoded anew."""

    source: Source
    name: str
    ending: str = ".mp4"
    readable_in_place: bool = False

    def make(self) -> bytes:
        return encode_anew(self.source.read(self.name))


@dataclass(frozen=True)
class Dubbed:
    """The sound of one file with the video of another, which may lie in another place; cut to the shorter."""

    source: Source
    name: str
    faces: Source
    face: str
    ending: str = ".mp4"
    readable_in_place: bool = False

    def make(self) -> bytes:
        sound, face = self.source.read(self.name), self.faces.read(self.face)
        samples = media.decode_sound(sound, rate=RATE)
        video = media.probe(face).video
        if video is None:
            raise MediaError(f"{self.face}: it has no video; give a file with video")
        drift_s = abs(video.end_s - len(samples) / RATE)
        if drift_s > MAX_DRIFT_S:
            raise MediaError(
                f"{self.face}: its video lasts {video.end_s:.2f} s, the sound of {self.name} "
                f"{len(samples) / RATE:.2f} s; cut the video where the sound begins and ends"
            )
        return media.join_streams(video_from=fit_conditions(face), sound_from=media.encode_sound(samples, RATE))


def encode_anew(data: bytes) -> bytes:
    """Encode a clip with the streams that it has as h264 and AAC in MP4: upright, of even size, 25 frames and 16,000
    samples a second.

    Raises:
        MediaError: the clip is damaged.
    """
    info = media.probe(data)
    if info.video is None:
        return media.encode_sound(media.stretch_sound(data, rate=RATE), RATE)
    frames = map(even_sized, media.stretch_frames(data, fps=FPS))
    if info.sound is None:
        return media.remove_sound(media.encode_clip(frames, np.zeros(1, np.float32), fps=FPS, rate=RATE))
    return media.encode_clip(frames, media.stretch_sound(data, rate=RATE), fps=FPS, rate=RATE)


def fit_conditions(data: bytes) -> bytes:
    """A clip as it is where it is whole and every condition can be made of it, else encoded anew.

    A WAV file out of a pipe only gets its sizes.

    Raises:
        MediaError: the clip is damaged, or does not become fit either.
    """
    info = media.check_whole(data)
    if media.is_wave(data):
        return media.with_known_sizes(data)
    # Servers of models are sent the file, and not every one of them turns what is stored turned.
    turned = info.video is not None and info.video.quarter_turns > 0
    if not turned and _allows_conditions(data):
        return data
    data = encode_anew(data)
    require_conditions(data)
    return data


def _allows_conditions(data: bytes) -> bool:
    try:
        require_conditions(data)
    except MediaError:
        return False
    return True


def even_sized(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame without the last row or column where their number is odd, as encoders need it."""
    return frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]


def recording_of(source: Source, name: str) -> Recording:
    """A file as it is, or encoded anew where its container says that conditions cannot copy its packets.

    One whose name does not end like that of a clip gives none.
    """
    ending = PurePosixPath(name).suffix.lower()
    if ending not in SOUNDS + VIDEOS:
        return UnusableFile(name, f"expected a clip that ends in one of {' '.join(SOUNDS + VIDEOS)}; convert it")
    return EncodedAnew(source, name) if ending in OTHER_CONTAINERS else WholeFile(source, name)
