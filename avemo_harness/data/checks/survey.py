"""Decode and describe every clip once; a config's rows together with the facts of their clips."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import CONFLICT, Clip, Dialogue, Release, Turn, labels_of_users
from avemo_harness.benchmark.release_loader import ReleaseOptions, load_release, local_splits
from avemo_harness.benchmark.task import NoiseName
from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.metrics.classification import Floats
from avemo_harness.recognizers.features.face import SIDE, FaceFeatures, describe_face, face_features, normalised_face
from avemo_harness.recognizers.features.sound import RATE, SoundFeatures, sound_features
from avemo_harness.recognizers.features.streams import FACE_FRAMES_PER_SECOND
from avemo_harness.registry import hint
from avemo_harness.text import Notify

_BANDS = 8


@dataclass(frozen=True, slots=True, eq=False)
class ConditionTraces:
    """Rows of numbers of one clip.

    Args:
        noise: of the sound that video_only leaves, (9,).
        voice: of the clip's own sound, measured in the same way, (9,).
        still: of the frame that audio_only leaves, (n,).
        later_frame: of the frame in the clip's middle, measured in the same way, (n,).
    """

    noise: Floats
    voice: Floats
    still: Floats
    later_frame: Floats


def condition_traces(
    clip: Clip,
    samples: media.Samples,
    frames: NDArray[np.uint8],
    conditions: ConditionCache,
    noise: NoiseName,
) -> ConditionTraces:
    """Make the conditioned clips and describe what is in them.

    Args:
        samples: the clip's sound at `RATE`.
        frames: some of its frames in order, uint8 [T, H, W, 3].

    Raises:
        MediaError: a condition cannot be made.
    """
    height, width = frames.shape[1:3]
    silenced = conditions.video_only(clip, noise).read()
    frozen = conditions.audio_only(clip).read()
    still = media.decode_frames(frozen, fps=1.0, size=(width, height)).pixels[:1]
    middle = len(frames) // 2
    return ConditionTraces(
        noise=describe_sound(media.decode_sound(silenced, rate=RATE)),
        voice=describe_sound(samples),
        still=_describe_frame(still),
        later_frame=_describe_frame(frames[middle : middle + 1]),
    )


def describe_sound(samples: media.Samples) -> Floats:
    """Level, and the power in eight bands of equal width, in dB, (9,).

    >>> float(describe_sound(np.full(16_000, 0.1, dtype=np.float32))[0].round())
    -20.0
    """
    power = np.abs(np.fft.rfft(samples)) ** 2 / len(samples)
    bands = [band.mean() for band in np.array_split(power, _BANDS)]
    levels: Floats = 10 * np.log10(np.array([np.mean(np.square(samples)), *bands], dtype=np.float64) + 1e-12)
    return levels


def _describe_frame(frame: NDArray[np.uint8]) -> Floats:
    face = normalised_face(frame)
    return describe_face(face[0], face)


_TELL_EVERY = 200
_SILENT_DBFS = -90.0


@dataclass(frozen=True, slots=True, eq=False)
class ClipFacts:
    """Streams and features of a clip; None for a stream that it does not have.

    Args:
        sound_s, video_s: when the streams end, in seconds after the beginning of the clip.
        level_dbfs: RMS of the active speech, dB re full scale.
        sound, face: features, for labelled clips of the user.
        traces: what the conditions leave of it, for labelled clips of the user with both streams.
    """

    sound_s: float | None
    video_s: float | None
    level_dbfs: float | None
    sound: SoundFeatures | None = None
    face: FaceFeatures | None = None
    traces: ConditionTraces | None = None


@dataclass(frozen=True, slots=True)
class ClipProblem:
    """Reason why nothing is known of a clip.

    Args:
        kind: `missing`: it is not here; `altered`: its bytes have another digest; `damaged`: it cannot be decoded.
    """

    kind: Literal["missing", "altered", "damaged"]
    text: str


@dataclass(frozen=True, slots=True)
class Surveyor:
    """Decodes clips and measures them; `noise` is what replaces speech under video_only."""

    conditions: ConditionCache
    noise: NoiseName
    say: Notify

    def survey(self, asked: Sequence[Clip], others: Sequence[Clip]) -> dict[str, ClipFacts | ClipProblem]:
        """Look at clips.

        Args:
            asked: clips of labelled user turns, looked at closely.
            others: clips that need but be whole.

        Returns:
            What was found, by digest.
        """
        jobs = [partial(_survey_clip, clip, self._measure) for clip in asked]
        jobs += [partial(_survey_clip, clip, _decode) for clip in others]
        found: list[ClipFacts | ClipProblem] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for facts in pool.map(lambda job: job(), jobs):
                found.append(facts)
                if len(found) % _TELL_EVERY == 0:
                    self.say(f"{len(found):,} of {len(jobs):,} clips decoded")
        return {clip.sha256: facts for clip, facts in zip([*asked, *others], found, strict=True)}

    def _measure(self, clip: Clip, data: bytes) -> ClipFacts:
        info = media.probe(data)
        samples = frames = traces = None
        if info.sound is not None:
            samples = media.decode_sound(data, rate=RATE)
        if info.video is not None:
            scale = min(1.0, 2 * SIDE / min(info.video.width, info.video.height))
            size = (round(info.video.width * scale), round(info.video.height * scale))
            frames = media.decode_frames(data, fps=FACE_FRAMES_PER_SECOND, size=size).pixels
        if samples is not None and frames is not None:
            traces = condition_traces(clip, samples, frames, self.conditions, self.noise)
        return replace(
            _lengths_and_level(info, samples),
            sound=None if samples is None else sound_features(samples),
            face=None if frames is None else face_features(frames),
            traces=traces,
        )


def fetch_clip(clip: Clip) -> bytes | ClipProblem:
    """A clip's bytes, or why they are not to be had."""
    try:
        data = clip.fetch()
    except MediaError as error:
        return ClipProblem("missing", _with_clip_name(clip, error))
    if hashlib.sha256(data).hexdigest() != clip.sha256:
        return ClipProblem("altered", f"{clip.name}: the clip's bytes are not those of its digest {clip.sha256[:12]}…")
    return data


def decode_fully(clip: Clip) -> ClipFacts | ClipProblem:
    """Decode a clip to the end and keep its lengths and level."""
    return _survey_clip(clip, _decode)


def _decode(clip: Clip, data: bytes) -> ClipFacts:
    info = media.probe(data)
    samples = media.decode_sound(data, rate=RATE) if info.sound else None
    if info.video:
        media.decode_frames(data, fps=1.0, size=(16, 16))
    return _lengths_and_level(info, samples)


def _survey_clip(clip: Clip, measure: Callable[[Clip, bytes], ClipFacts]) -> ClipFacts | ClipProblem:
    data = fetch_clip(clip)
    if isinstance(data, ClipProblem):
        return data
    try:
        return measure(clip, data)
    except MediaError as error:
        return ClipProblem("damaged", _with_clip_name(clip, error))


def _lengths_and_level(info: media.MediaInfo, samples: media.Samples | None) -> ClipFacts:
    return ClipFacts(
        sound_s=info.sound.end_s if info.sound else None,
        video_s=info.video.end_s if info.video else None,
        level_dbfs=None if samples is None else _level_dbfs(samples),
    )


def _level_dbfs(samples: media.Samples) -> float:
    level = media.active_level(samples, RATE)
    return max(_SILENT_DBFS, 20 * math.log10(level)) if level > 0 else _SILENT_DBFS


def _with_clip_name(clip: Clip, error: MediaError) -> str:
    return str(error) if clip.name in str(error) else f"{clip.name}: {error}"


@dataclass(frozen=True, slots=True)
class LocatedTurn:
    """A turn with where it stands."""

    split: str
    dialogue: Dialogue
    turn: Turn

    @property
    def name(self) -> str:
        return f"{self.split}, dialogue {self.dialogue.dialogue_id}, turn {self.turn.turn_index}"


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """A clip of a labelled user turn, and what is in it."""

    located: LocatedTurn
    emotion: str
    speaker: str
    clip: Clip
    facts: ClipFacts


@dataclass(frozen=True)
class SurveyedConfig:
    """A config to be checked.

    Args:
        releases: the config as read, by data set split.
        clips: what was found in each clip, by its digest.
    """

    config: str
    releases: Mapping[str, Release]
    clips: Mapping[str, ClipFacts | ClipProblem]

    def turns(self) -> Iterator[LocatedTurn]:
        """Every turn, in the release's order."""
        return turns_of(self.releases)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels of the user's turns, in the order of tables."""
        return labels_of_users(self.releases.values())

    def labelled(self) -> Iterator[LabelledClip]:
        """The clips of labelled user turns that could be decoded, each once."""
        seen = set()
        for located in self.turns():
            turn = located.turn
            if turn.role != "user" or turn.emotion is None or turn.clip is None:
                continue
            facts = self.clips[turn.clip.sha256]
            if isinstance(facts, ClipFacts) and turn.clip.sha256 not in seen:
                seen.add(turn.clip.sha256)
                yield LabelledClip(located, turn.emotion, turn.speaker_id, turn.clip, facts)

    def unread(self) -> int:
        """Number of clips of labelled user turns that could not be decoded."""
        asked, _ = clips_of(self.releases)
        return sum(not isinstance(self.clips[clip.sha256], ClipFacts) for clip in asked)


def turns_of(releases: Mapping[str, Release]) -> Iterator[LocatedTurn]:
    """Every turn of a config's splits."""
    for split, release in releases.items():
        for dialogue in release.dialogues:
            for turn in dialogue.turns:
                yield LocatedTurn(split, dialogue, turn)


def clips_of(releases: Mapping[str, Release]) -> tuple[list[Clip], list[Clip]]:
    """The clips of labelled user turns, and the other clips; each once."""
    asked: dict[str, Clip] = {}
    others: dict[str, Clip] = {}
    for located in turns_of(releases):
        turn = located.turn
        if turn.clip is not None:
            kept = asked if turn.role == "user" and turn.emotion is not None else others
            kept.setdefault(turn.clip.sha256, turn.clip)
    return list(asked.values()), [clip for digest, clip in others.items() if digest not in asked]


def configs_of(folder: Path, named: str | None) -> dict[str, list[str]]:
    """The configs to check with their data set splits; those of conflict pairs come with the config they belong to.

    Raises:
        ReleaseError: there is none, or not the one that is named.
    """
    splits = local_splits(folder)
    found = {config: parts for config, parts in splits.items() if not config.endswith(CONFLICT) and parts}
    if named is not None:
        if named not in found:
            raise ReleaseError(f"{folder}: there is no config {named!r}{hint(named, found)}")
        return {named: found[named]}
    if not found:
        raise ReleaseError(
            f"{folder}: expected folders of Parquet files, one a config, found none; check the path, or build the "
            "release again"
        )
    return dict(sorted(found.items()))


def load_splits(folder: Path, config: str, splits: list[str], media_root: Path | None) -> dict[str, Release]:
    """Read a config.

    Raises:
        ReleaseError: its rows break the schema.
    """
    options = ReleaseOptions(media_root=media_root)
    return {split: load_release(str(folder), config, split, options) for split in splits}
