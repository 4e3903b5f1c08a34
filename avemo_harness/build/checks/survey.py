"""Every clip is read, decoded to the end and described once; the checks look at what was found."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

from avemo_harness import media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.task import NoiseName
from avemo_harness.build.checks.traces import ConditionTraces, condition_traces
from avemo_harness.errors import MediaError
from avemo_harness.recognizers.clip_features import FRAMES_PER_SECOND
from avemo_harness.recognizers.face_features import SIDE, FaceFeatures, face_features
from avemo_harness.recognizers.sound_features import SoundFeatures, sound_features
from avemo_harness.recognizers.spectrum import RATE

Say = Callable[[str], None]

_TELL_EVERY = 200
_SILENT_DBFS = -90.0


@dataclass(frozen=True, slots=True, eq=False)
class ClipFacts:
    """What a clip holds; None for a stream that it does not have.

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
    """Why nothing is known of a clip.

    Args:
        kind: `missing`: it is not here; `altered`: its bytes have another digest; `damaged`: it cannot be decoded.
    """

    kind: Literal["missing", "altered", "damaged"]
    text: str


@dataclass(frozen=True, slots=True)
class Surveyor:
    """How clips are looked at.

    Args:
        conditions: makes the conditioned clips.
        noise: what replaces speech under video_only.
        say: is told how far the survey is.
    """

    conditions: ConditionCache
    noise: NoiseName
    say: Say

    def survey(self, asked: Sequence[Clip], others: Sequence[Clip]) -> dict[str, ClipFacts | ClipProblem]:
        """Look at clips.

        Args:
            asked: clips of labelled user turns, looked at closely.
            others: clips that need but be whole.

        Returns:
            What was found, by digest.
        """
        jobs = [partial(self._closely, clip) for clip in asked] + [partial(look, clip) for clip in others]
        found: list[ClipFacts | ClipProblem] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for facts in pool.map(lambda job: job(), jobs):
                found.append(facts)
                if len(found) % _TELL_EVERY == 0:
                    self.say(f"{len(found):,} of {len(jobs):,} clips decoded")
        return {clip.sha256: facts for clip, facts in zip([*asked, *others], found, strict=True)}

    def _closely(self, clip: Clip) -> ClipFacts | ClipProblem:
        data = fetch(clip)
        if isinstance(data, ClipProblem):
            return data
        try:
            return self._described(clip, data)
        except MediaError as error:
            return ClipProblem("damaged", _naming(clip, error))

    def _described(self, clip: Clip, data: bytes) -> ClipFacts:
        info = media.probe(data)
        samples = frames = traces = None
        if info.sound is not None:
            samples = media.decode_sound(data, rate=RATE)
        if info.video is not None:
            scale = min(1.0, 2 * SIDE / min(info.video.width, info.video.height))
            size = (round(info.video.width * scale), round(info.video.height * scale))
            frames = media.decode_frames(data, fps=FRAMES_PER_SECOND, size=size).pixels
        if samples is not None and frames is not None:
            traces = condition_traces(clip, samples, frames, self.conditions, self.noise)
        return ClipFacts(
            sound_s=info.sound.end_s if info.sound else None,
            video_s=info.video.end_s if info.video else None,
            level_dbfs=None if samples is None else _level_dbfs(samples),
            sound=None if samples is None else sound_features(samples),
            face=None if frames is None else face_features(frames),
            traces=traces,
        )


def fetch(clip: Clip) -> bytes | ClipProblem:
    """A clip's bytes, or why they are not to be had."""
    try:
        data = clip.fetch()
    except MediaError as error:
        return ClipProblem("missing", _naming(clip, error))
    if hashlib.sha256(data).hexdigest() != clip.sha256:
        return ClipProblem("altered", f"{clip.name}: the clip's bytes are not those of its digest {clip.sha256[:12]}…")
    return data


def look(clip: Clip) -> ClipFacts | ClipProblem:
    """Decode a clip to the end and keep its lengths and level."""
    data = fetch(clip)
    if isinstance(data, ClipProblem):
        return data
    try:
        info = media.probe(data)
        samples = media.decode_sound(data, rate=RATE) if info.sound else None
        if info.video:
            media.decode_frames(data, fps=1.0, size=(16, 16))
    except MediaError as error:
        return ClipProblem("damaged", _naming(clip, error))
    return ClipFacts(
        sound_s=info.sound.end_s if info.sound else None,
        video_s=info.video.end_s if info.video else None,
        level_dbfs=None if samples is None else _level_dbfs(samples),
    )


def _level_dbfs(samples: media.Samples) -> float:
    level = media.active_level(samples, RATE)
    return max(_SILENT_DBFS, 20 * math.log10(level)) if level > 0 else _SILENT_DBFS


def _naming(clip: Clip, error: MediaError) -> str:
    return str(error) if clip.name in str(error) else f"{clip.name}: {error}"
