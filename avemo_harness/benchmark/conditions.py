"""The four conditions, made from clips at load time and cached by content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.task import NoiseName
from avemo_harness.errors import MediaError
from avemo_harness.file_cache import prune_files
from avemo_harness.paths import write_atomically

RECIPE_VERSION = 1
"""Raised whenever a condition is made differently."""

SOUND_RATE = 16_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a conditioned clip is made: everything that decides its bytes."""

    condition: str
    audio_sha256: str
    video_sha256: str
    noise: str
    recipe_version: int
    av_version: str

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


class ConditionCache:
    """Makes conditioned clips and keeps them in a folder, the least recently used going first.

    A recipe's digest names a small file that holds the content hash of what it gave; the clip lies under that hash.
    Forgetting a clip therefore costs time and never changes a request's key.

    Args:
        folder: shared by every run and process on the machine.
        max_bytes: what `prune` cuts the folder down to.
    """

    def __init__(self, folder: Path, max_bytes: int = 4 * 2**30) -> None:
        self.folder, self.max_bytes = folder, max_bytes

    def full_av(self, clip: Clip) -> Clip:
        """The clip as it is."""
        return clip

    def audio_only(self, clip: Clip) -> Clip:
        """Every video frame replaced by the clip's first; the sound's packets are the original's."""
        return self._derived("audio_only", clip, clip, "", lambda: media.freeze_video(clip.read()))

    def video_only(self, clip: Clip, noise: NoiseName = "speech_shaped") -> Clip:
        """Sound replaced by noise as long as the video, seeded by content; the video's packets are the original's."""
        return self._derived("video_only", clip, clip, noise, lambda: _with_noise(clip, noise))

    def conflict(self, audio: Clip, video: Clip) -> Clip:
        """The sound of one clip with the video of another, trimmed to the shorter, no packet changed."""
        return self._derived("conflict", audio, video, "", lambda: media.join_streams(video.read(), audio.read()))

    def _derived(self, condition: str, audio: Clip, video: Clip, noise: str, make: Callable[[], bytes]) -> Clip:
        recipe = Recipe(condition, audio.sha256, video.sha256, noise, RECIPE_VERSION, _av_version()).digest()
        known = self.folder / "recipes" / recipe[:2] / recipe
        name = f"{video.name} under {condition}"
        try:
            digest = known.read_text(encoding="ascii")
        except FileNotFoundError:
            data = _named(make, name)
            digest = hashlib.sha256(data).hexdigest()
            self._keep(digest, data)
            write_atomically(known, digest)
        return Clip(sha256=digest, name=name, fetch=partial(self._read, digest, make, name))

    def _read(self, digest: str, make: Callable[[], bytes], name: str) -> bytes:
        path = self._path(digest)
        try:
            data = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            data = _named(make, name)
            self._keep(digest, data)
        return data

    def _path(self, digest: str) -> Path:
        return self.folder / "clips" / digest[:2] / f"{digest}.mp4"

    def _keep(self, digest: str, data: bytes) -> None:
        write_atomically(self._path(digest), data)

    def prune(self) -> int:
        """Delete the clips used longest ago until the folder is within bounds; returns how many went."""
        return prune_files(self.folder.glob("clips/*/*.mp4"), self.max_bytes)


@cache
def _av_version() -> str:
    return version("av")


def _named(make: Callable[[], bytes], name: str) -> bytes:
    try:
        return make()
    except MediaError as error:
        raise MediaError(f"{name}: {error}") from error


def _with_noise(clip: Clip, noise: NoiseName) -> bytes:
    data = clip.read()
    info = media.probe(data)
    if info.video is None:
        raise MediaError("video_only needs a clip with video")
    samples = round(info.video.duration_s * SOUND_RATE)
    seed = int(hashlib.sha256(f"{clip.sha256} {noise}".encode()).hexdigest()[:15], 16)
    reference = media.decode_sound(data, rate=SOUND_RATE) if noise == "rms_matched" else None
    made = media.make_noise(noise, samples, rate=SOUND_RATE, seed=seed, reference=reference)
    return media.replace_sound(data, made, rate=SOUND_RATE)
