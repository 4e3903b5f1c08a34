"""The four conditions, made from clips at load time and cached by content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, Stream
from avemo_harness.benchmark.release_loader import streams_of
from avemo_harness.benchmark.task import ConditionName, NoiseName
from avemo_harness.errors import MediaError
from avemo_harness.files import mark_as_used, prune_files, write_to_cache

RECIPE_VERSION = 2
"""Raised whenever a condition is made differently."""

SOUND_RATE = 16_000

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Recipe of a conditioned clip: everything that decides its bytes."""

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
        """Every video frame replaced by the clip's first; the sound's packets are the original's.

        A clip without a picture is its sound already: it is given back as it is, in whatever format.

        Raises:
            MediaError: the clip has no sound, or cannot be read.
        """
        self._require("sound", clip, "audio_only")
        return self._still(clip)

    def video_only(self, clip: Clip, noise: NoiseName = "speech_shaped") -> Clip:
        """Noise up to the video's end for sound, seeded by content; the video's packets are the original's.

        A clip without sound gets the same noise; ``rms_matched``, which finds no level there, is ``speech_shaped``.

        Raises:
            MediaError: the clip has no picture, or cannot be read.
        """
        self._require("picture", clip, "video_only")
        return self._noisy(clip, noise)

    def conflict(self, audio: Clip, video: Clip) -> Clip:
        """The sound of one clip with the video of another, trimmed to the shorter, no packet changed.

        Sound out of a file that is no MP4 is encoded first, as noise is.

        Raises:
            MediaError: the first has no sound or the second no picture, or one cannot be read.
        """
        self._require("sound", audio, "conflict")
        self._require("picture", video, "conflict")
        return self._derived("conflict", audio, video, "", lambda: joined(video.read(), audio.read()))

    def shown(self, clip: Clip, condition: ConditionName, noise: NoiseName = "speech_shaped") -> Clip:
        """An earlier turn of a dialogue under a condition, with the streams that it has.

        ``audio_only``: the frozen picture, the sound, or both. ``video_only``: the picture with noise; a clip without a
        picture becomes noise as long as its sound, since no word of it may be heard. Else the clip as it is.

        Raises:
            MediaError: the clip cannot be read.
        """
        if condition == "audio_only":
            return self._still(clip)
        return self._noisy(clip, noise) if condition == "video_only" else clip

    def _still(self, clip: Clip) -> Clip:
        if "picture" not in streams_of(clip):
            return clip
        return self._derived("audio_only", clip, clip, "", lambda: media.freeze_video(clip.read()))

    def _noisy(self, clip: Clip, noise: NoiseName) -> Clip:
        return self._derived("video_only", clip, clip, noise, lambda: _with_noise(clip, noise))

    def _require(self, stream: Stream, clip: Clip, condition: ConditionName) -> None:
        if stream not in streams_of(clip):
            raise MediaError(
                f"{clip.name}: it has no {stream}, which {condition} needs; restore it, or ask under another condition"
            )

    def _derived(self, condition: str, audio: Clip, video: Clip, noise: str, make: Callable[[], bytes]) -> Clip:
        recipe = Recipe(condition, audio.sha256, video.sha256, noise, RECIPE_VERSION, _av_version()).digest()
        known = self.folder / "recipes" / recipe[:2] / recipe
        name = f"{video.name} under {condition}"
        digest = _text_of(known)
        if not _SHA256.fullmatch(digest):
            data = _named(make, name)
            digest = hashlib.sha256(data).hexdigest()
            self._keep(digest, data)
            write_to_cache(known, digest.encode())
        return Clip(sha256=digest, name=name, fetch=partial(self._read, digest, make, name))

    def _read(self, digest: str, make: Callable[[], bytes], name: str) -> bytes:
        path = self._path(digest)
        with suppress(OSError):  # what cannot be read is made again, and a StorageError where it cannot be written
            data = path.read_bytes()
            # A full disk or a crash of the machine may have cut the file.
            if hashlib.sha256(data).hexdigest() == digest:
                mark_as_used(path)
                return data
        data = _named(make, name)
        self._keep(digest, data)
        return data

    def _path(self, digest: str) -> Path:
        return self.folder / "clips" / digest[:2] / f"{digest}.mp4"

    def _keep(self, digest: str, data: bytes) -> None:
        write_to_cache(self._path(digest), data)

    def prune(self) -> int:
        """Delete the clips used longest ago until the folder is within bounds; returns how many went."""
        return prune_files(self.folder.glob("clips/*/*.mp4"), self.max_bytes)


def require_conditions(data: bytes) -> None:
    """Prove of a clip that every condition can be made with the streams that it has, and decodes.

    Raises:
        MediaError: its packets cannot be copied, its first frame cannot be held, or a copy does not decode.
    """
    has_video = media.probe(data).video is not None
    if has_video or _is_mp4(data):
        media.check_whole(media.copy_streams(data))
    if has_video:
        media.check_whole(media.freeze_video(data))


def _text_of(path: Path) -> str:
    """The content of a small file; empty where it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


@cache
def _av_version() -> str:
    return version("av")


def _named(make: Callable[[], bytes], name: str) -> bytes:
    try:
        return make()
    except MediaError as error:
        raise MediaError(f"{name}: {error}") from error


def joined(video: bytes, sound: bytes) -> bytes:
    """The picture of one file with the sound of another, as an MP4 that ends with the shorter (MediaError)."""
    return media.join_streams(video, sound if _is_mp4(sound) else _as_mp4(sound))


def sound_alone(data: bytes) -> bytes:
    """A file's sound without its picture; the file as it is where it has none (MediaError: it has no sound)."""
    return data if media.probe(data).video is None else _as_mp4(data)


def _as_mp4(sound: bytes) -> bytes:
    return media.encode_sound(media.decode_sound(sound, rate=SOUND_RATE), SOUND_RATE)


def _is_mp4(data: bytes) -> bool:
    """True for MP4, the one format whose packets can be copied: it begins with the box that names its brand."""
    return data[4:8] == b"ftyp"


def _with_noise(clip: Clip, noise: NoiseName) -> bytes:
    data = clip.read()
    info = media.probe(data)
    if noise == "rms_matched" and info.sound is None:
        noise = "speech_shaped"
    samples = round((info.video.end_s if info.video else info.duration_s) * SOUND_RATE)
    seed = int(hashlib.sha256(f"{clip.sha256} {noise}".encode()).hexdigest()[:15], 16)
    reference = media.decode_sound(data, rate=SOUND_RATE) if noise == "rms_matched" else None
    made = media.make_noise(noise, samples, rate=SOUND_RATE, seed=seed, reference=reference)
    if info.video is None:
        return media.encode_sound(made, SOUND_RATE)
    return media.replace_sound(data, made, rate=SOUND_RATE)
