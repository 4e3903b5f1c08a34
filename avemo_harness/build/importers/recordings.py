"""The ways in which files of a corpus become clips: as they are, encoded anew, or the sound of one with another's face.

Conditions copy packets, which only MP4 files allow: video in any other container is encoded anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.build.importers.base import Recording
from avemo_harness.build.importers.source import Source
from avemo_harness.errors import MediaError

FPS = 25
RATE = 16_000
MAX_DRIFT_S = 0.25
"""By how much the face's file may be longer or shorter than that of the sound."""

OTHER_CONTAINERS = (".flv", ".avi", ".mkv", ".webm")
SOUNDS = (".wav", ".flac", ".ogg", ".m4a")
VIDEOS = (".mp4", ".m4v", ".mov", *OTHER_CONTAINERS)


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
class EncodedAnew:
    """A file in another container, as h264 and AAC in MP4 at 25 frames and 16,000 samples a second."""

    source: Source
    name: str
    ending: str = ".mp4"
    readable_in_place: bool = False

    def make(self) -> bytes:
        data = self.source.read(self.name)
        frames = map(even_sized, media.stretch_frames(data, fps=FPS))
        return media.encode_clip(frames, media.stretch_sound(data, rate=RATE), fps=FPS, rate=RATE)


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
        drift_s = abs(video.duration_s - len(samples) / RATE)
        if drift_s > MAX_DRIFT_S:
            raise MediaError(
                f"{self.face}: its video lasts {video.duration_s:.2f} s, the sound of {self.name} "
                f"{len(samples) / RATE:.2f} s; cut the video where the sound begins and ends"
            )
        return media.join_streams(video_from=face, sound_from=media.encode_sound(samples, RATE))


def even_sized(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame without the last row or column where their number is odd, as encoders need it."""
    return frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]


def recording_of(source: Source, name: str) -> Recording:
    """A file as it is where conditions can work on it, else encoded anew.

    Raises:
        MediaError: the file's name does not end like that of a clip.
    """
    ending = PurePosixPath(name).suffix.lower()
    if ending not in SOUNDS + VIDEOS:
        raise MediaError(f"{name}: expected a clip that ends in one of {' '.join(SOUNDS + VIDEOS)}; convert it")
    return EncodedAnew(source, name) if ending in OTHER_CONTAINERS else WholeFile(source, name)
