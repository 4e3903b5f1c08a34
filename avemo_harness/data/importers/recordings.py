"""Clips out of the files of a corpus: as they are, re-encoded, dubbed, or cut out of longer videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from pathlib import PurePosixPath

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.conditions import require_conditions
from avemo_harness.data.importers.base import ClipSource
from avemo_harness.data.importers.source import Source
from avemo_harness.errors import MediaError

FPS = 25
RATE = 16_000
MAX_DRIFT_S = 0.25
"""Largest difference in length between the face's file and that of the sound."""

OTHER_CONTAINERS = (".flv", ".avi", ".mkv", ".webm")
SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a")
VIDEOS = (".mp4", ".m4v", ".mov", ".3gp", ".3g2", *OTHER_CONTAINERS)


def whole_file(source: Source, name: str) -> ClipSource:
    """A file as it is."""
    return ClipSource(name, partial(source.read, name), PurePosixPath(name).suffix.lower(), source.is_local(name))


def unusable_file(name: str, reason: str) -> ClipSource:
    """A file that a corpus names and that gives no clip, as others turn out to be damaged."""

    def refuse() -> bytes:
        raise MediaError(f"{name}: {reason}")

    return ClipSource(name, refuse, ending="", readable_in_place=True)


def dubbed_video(source: Source, name: str, faces: Source, face: str) -> ClipSource:
    """The sound of one file with the video of another, which may lie elsewhere; cut to the shorter."""

    def make() -> bytes:
        sound, video_file = source.read(name), faces.read(face)
        samples = media.decode_sound(sound, rate=RATE)
        video = media.probe(video_file).video
        if video is None:
            raise MediaError(f"{face}: it has no video; give a file with video")
        drift_s = abs(video.end_s - len(samples) / RATE)
        if drift_s > MAX_DRIFT_S:
            raise MediaError(
                f"{face}: its video lasts {video.end_s:.2f} s, the sound of {name} {len(samples) / RATE:.2f} s; cut "
                "the video where the sound begins and ends"
            )
        return media.join_streams(video_from=fit_conditions(video_file), sound_from=media.encode_sound(samples, RATE))

    return ClipSource(name, make)


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
    if not turned:
        with suppress(MediaError):
            require_conditions(data)
            return data
    data = media.reencode(data)
    require_conditions(data)
    return data


def clip_source(source: Source, name: str) -> ClipSource:
    """A file as it is, or encoded anew where its container says that conditions cannot copy its packets.

    One whose name does not end like that of a clip gives none.
    """
    ending = PurePosixPath(name).suffix.lower()
    if ending not in SOUNDS + VIDEOS:
        return unusable_file(name, f"expected a clip that ends in one of {' '.join(SOUNDS + VIDEOS)}; convert it")
    if ending in OTHER_CONTAINERS:
        return ClipSource(name, lambda: media.reencode(source.read(name)))
    return whole_file(source, name)


LONGEST_LEAD_S = 0.25
"""Largest lead of the sound over the video: what is cut off at its end is no more than a pause."""
LONGEST_TAIL_S = 0.5
"""Largest lead of the video over the sound. Both begin together, as the sound is a copy of the video's own track, and
the sound goes on to the end of the sentence at least."""


@dataclass(frozen=True)
class VoicedVideo(ClipSource):
    """A video that a sound file belongs to; `is_silent` reads its header."""

    is_silent: Callable[[], bool] = lambda: False


def voiced_video(source: Source, name: str, voice: str) -> VoicedVideo:
    """A video as it is; where it has no sound, its face with that of another file, cut to the shorter.

    Where the two are not of about one length, they may be no one take, and a face would be out of step: the sound
    stands alone.

    Args:
        name: of the video, FLV or MP4.
        voice: name of the sound file.
    """
    video = clip_source(source, name)

    @cache
    def is_silent() -> bool:
        try:
            file = source.files.local(name) if source.is_local(name) else source.read(name)
            return media.probe(file).sound is None
        except MediaError:
            return False  # it is damaged, which is told when the clip is made

    def make() -> bytes:
        if not is_silent():
            return video.make()
        samples = media.decode_sound(source.read(voice), rate=RATE)
        face = source.read(name)
        video_s, sound_s = media.probe(face).duration_s, len(samples) / RATE
        if not -LONGEST_LEAD_S <= video_s - sound_s <= LONGEST_TAIL_S:
            return media.encode_sound(samples, RATE)
        count = max(1, int(min(video_s, sound_s) * FPS))
        frames = map(media.even_sized, islice(media.stretch_frames(face, fps=FPS), count))
        return media.encode_clip(frames, samples[: count * RATE // FPS], fps=FPS, rate=RATE)

    in_place = video.readable_in_place and not is_silent()
    return VoicedVideo(name, make, readable_in_place=in_place, is_silent=is_silent)


MAX_SLACK_S = 1.0
"""Largest difference in length between all sound files and the video."""

MAX_SHIFT_S = 0.3
"""Largest distance of an utterance from the start that the lengths give."""

MIN_CORRELATION = 0.5
"""Between the sound of an utterance and the video's, at the best offset."""

_LONG = media.MediaLimits(max_bytes=2**31, max_seconds=3600.0)


@dataclass
class AlignedVideo:
    """A video that is being cut: its frames, its sound, and the expected start of each sound file in it, in seconds."""

    name: str
    frames: media.Source
    sound: media.Samples
    starts: Mapping[str, float]

    def find(self, part: str, sound: media.Samples) -> float:
        """The start of an utterance in the video, in seconds, by normalised cross-correlation.

        Raises:
            MediaError: its sound is not heard about there.
        """
        first = max(0, round((self.starts[part] - MAX_SHIFT_S) * RATE))
        around = self.sound[first : first + len(sound) + round(2 * MAX_SHIFT_S * RATE)]
        offset, correlation = best_match(sound, around)
        if correlation < MIN_CORRELATION:
            raise MediaError(
                f"{self.name}: the sound of {part} is not heard at {self.starts[part]:.2f} s (correlation "
                f"{correlation:.2f}, at least {MIN_CORRELATION} is expected); cut the video into utterances"
            )
        return (first + offset) / RATE


@dataclass
class AlignedVideos:
    """The videos of dialogues, by the dialogues' names. The one that was cut last stays open."""

    faces: Source
    videos: Mapping[str, str]
    _open: dict[str, AlignedVideo] = field(default_factory=dict)

    def open(self, dialogue: str, sounds: Source, parts: tuple[str, ...]) -> AlignedVideo:
        """Open the video of a dialogue.

        Args:
            parts: names of all its sound files, in order.

        Raises:
            MediaError: a file is damaged, or the sound files do not last as long as the video.
        """
        if dialogue not in self._open:
            self._open.clear()
            self._open[dialogue] = self._opened(self.videos[dialogue], sounds, parts)
        return self._open[dialogue]

    def _opened(self, name: str, sounds: Source, parts: tuple[str, ...]) -> AlignedVideo:
        lengths = [media.probe(sounds.read(part)).duration_s for part in parts]
        video = self.faces.files.local(name) if self.faces.is_local(name) else self.faces.read(name)
        sound = media.stretch_sound(video, rate=RATE, limits=_LONG)
        if abs(sum(lengths) - len(sound) / RATE) > MAX_SLACK_S:
            raise MediaError(
                f"{name}: the video lasts {len(sound) / RATE:.2f} s, its {len(parts)} sound files together "
                f"{sum(lengths):.2f} s; cut the video into utterances"
            )
        starts = np.cumsum([0.0, *lengths[:-1]])
        return AlignedVideo(name, video, sound, dict(zip(parts, starts.tolist(), strict=True)))


def video_segment(
    videos: AlignedVideos, dialogue: str, source: Source, name: str, sound_files: tuple[str, ...]
) -> ClipSource:
    """The sound of an utterance with its segment of a dialogue's video.

    Args:
        sound_files: names of all those of the dialogue, in order.
    """

    def make() -> bytes:
        video = videos.open(dialogue, source, sound_files)
        sound = media.decode_sound(source.read(name), rate=RATE)
        start_s = video.find(name, sound)
        frames = media.stretch_frames(video.frames, start_s, start_s + len(sound) / RATE, fps=FPS, limits=_LONG)
        return media.encode_clip(map(media.even_sized, frames), sound, fps=FPS, rate=RATE)

    return ClipSource(name, make)


def best_match(sound: media.Samples, around: media.Samples) -> tuple[int, float]:
    """The offset in samples at which a sound correlates best with a stretch of a longer one, and that correlation.

    >>> best_match(np.array([1, -1], np.float32), np.array([0, 0, 3, -3, 0], np.float32))
    (2, 1.0)
    """
    offsets = len(around) - len(sound) + 1
    if offsets < 1 or not len(sound):
        return 0, 0.0
    size = 1 << (len(around) + len(sound)).bit_length()
    spectrum = np.fft.rfft(around, size) * np.conj(np.fft.rfft(sound, size))
    products = np.fft.irfft(spectrum, size)[:offsets]
    energy = np.concatenate([[0.0], np.cumsum(around.astype(np.float64) ** 2)])
    norms = np.sqrt(
        np.maximum(energy[len(sound) :] - energy[:offsets], 0.0) * float((sound.astype(np.float64) ** 2).sum())
    )
    correlations = np.divide(products, norms, out=np.zeros(offsets), where=norms > 1e-9)
    best = int(correlations.argmax())
    return best, round(float(correlations[best]), 6)
