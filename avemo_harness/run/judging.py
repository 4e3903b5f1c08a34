"""The judging stage: a recogniser follows the user's turns and the spoken replies of a run. Needs no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, Release
from avemo_harness.benchmark.request import Item
from avemo_harness.errors import RecognitionError, SampleError, StoreError, UsageError, describe
from avemo_harness.locks import one_at_a_time
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.paths import read_whole
from avemo_harness.recognizers import EMBEDDED
from avemo_harness.recognizers.judges import TrajectoryJudge, judge_modalities
from avemo_harness.recognizers.streams import Modality, Streams, View
from avemo_harness.run.judgements import Judgements, judgement_row
from avemo_harness.run.store import Record, RunStore
from avemo_harness.scorers.judged import Judge, Judged, UserView

SILENT_LEVEL = 10 ** (-60 / 20)
"""RMS of the active parts below which a recording counts as silence: -60 dBFS."""

_JUDGED_AT_ONCE = 2
_STORED_AT_ONCE = 16
_SAID_EVERY = 160

Say = Callable[[str], None]


def describe_judge(name: str, recognizer: TrajectoryJudge) -> Judge:
    """What a run keeps of the recogniser that judges it."""
    identity = json.dumps(dict(recognizer.identity()), sort_keys=True)
    return Judge(
        name=name,
        digest=hashlib.sha256(identity.encode()).hexdigest(),
        calibration=recognizer.calibration,
        rmse=dict(recognizer.errors),
        card=dict(recognizer.card_values),
        embedded=name == EMBEDDED,
    )


def judge_run(
    folder: Path, name: str, recognizer: TrajectoryJudge, releases: Mapping[str, Release], say: Say
) -> Judgements:
    """Judge every answer that this recogniser has not judged yet, and score the run by it from now on.

    Answers are left untouched. What was judged before a kill is kept; one process judges, others wait for it.

    Args:
        name: how the user calls the recogniser.
        releases: by task, of the tasks whose replies are to be judged.

    Raises:
        UsageError: the recogniser cannot judge sound, or says that it cannot work.
        StoreError: the directory is damaged or cannot be written.
    """
    if "audio" not in judge_modalities(recognizer):
        raise UsageError(f"the recogniser {name!r} looks at faces alone, and replies are heard; choose one of sound")
    judgements = Judgements(folder, describe_judge(name, recognizer))
    waiting = partial(say, "another process is judging this run; waiting for it")
    with one_at_a_time(folder / "claims" / ".judging", waiting):
        store = RunStore(folder)
        store.refresh()
        # What could not be judged before is tried again.
        judged = {place for place, one in judgements.read().items() if one.error is None}
        questions = [
            _Reply(item, record, release)
            for task, release in releases.items()
            for item in store.read_items(task)
            if (record := store.answers.get((task, item.item_id))) and record.place not in judged
        ]
        judgements.write_judge()
        if questions:
            say(f"judging {len(questions)} replies with the recogniser {name!r}")
            _judge(judgements, _Judging(folder, judgements.judge, recognizer), questions, say)
        judgements.choose()
    return judgements


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer to a task of spoken replies, and the release with the turn that it answers."""

    item: Item
    record: Record
    release: Release


@dataclass
class _Judging:
    """Judges one answer after the other; a user's turn is judged once for all tasks that ask about it."""

    folder: Path
    judge: Judge
    recognizer: TrajectoryJudge
    _users: dict[tuple[str, View], Trajectory] = field(default_factory=dict)
    _judging: dict[tuple[str, View], Lock] = field(default_factory=dict)

    def judged(self, one: _Reply) -> Judged:
        turns = one.release.dialogue(one.item.dialogue_id).turns
        index = one.item.turn_index
        asked = Judged(
            judge=self.judge,
            place=sum(turn.role == "user" for turn in turns[:index]),
            has_reference=index + 1 < len(turns) and turns[index + 1].role == "assistant",
        )
        clip, speech = turns[index].clip, one.record.speech
        try:
            user, reply = _User(), _Heard()
            if clip is not None:
                with _naming(clip.name):
                    user = self._user(clip)
            if speech is not None:
                with _naming(speech):
                    reply = self._reply(speech)
        except _FailedRecordingError as error:
            return replace(asked, error=str(error))
        # A turn without a face is followed once: what is clipped there is counted once.
        followed = {id(one): one for one in (user.by_all, user.by_sound, reply.trajectory) if one is not None}
        return replace(
            asked,
            user=user.by_all,
            user_audio=user.by_sound,
            user_view=user.view,
            reply=reply.trajectory,
            why=reply.why,
            n_clipped=sum(one.n_clipped for one in followed.values()),
        )

    def _user(self, clip: Clip) -> _User:
        streams = Streams.of(clip)
        if not streams.views:
            return _User()
        whole = streams.views[0]
        view = _user_view(streams, judge_modalities(self.recognizer))
        if view is None:
            raise RecognitionError("the judge makes use of sound alone, and the turn has none")
        by_sound = self._remembered(clip, streams, "audio") if "audio" in streams.views else None
        by_all = by_sound if whole == "audio" else self._remembered(clip, streams, whole)
        return _User(by_all, by_sound, view)

    def _remembered(self, clip: Clip, streams: Streams, view: View) -> Trajectory:
        key = (clip.sha256, view)
        with self._judging.setdefault(key, Lock()):
            if key not in self._users:
                self._users[key] = self._follow(streams, view)
            return self._users[key]

    def _reply(self, speech: str) -> _Heard:
        data = read_whole(self.folder / speech)
        samples, rate = media.read_sound_file(data)
        if not len(samples):
            return _Heard(why="empty")
        if media.active_level(samples, rate) < SILENT_LEVEL:
            return _Heard(why="silent")
        clip = Clip.from_bytes(data, speech)
        return _Heard(self._follow(Streams(clip, None, len(samples) / rate), "audio"))

    def _follow(self, streams: Streams, view: View) -> Trajectory:
        found: object = self.recognizer.trajectory(streams, view)
        if not isinstance(found, Trajectory):
            raise RecognitionError(f"the judge gave {type(found).__name__}, expected a Trajectory")
        return found


class _FailedRecordingError(SampleError):
    """A recording could not be judged; names it."""


@contextmanager
def _naming(recording: str) -> Iterator[None]:
    """The boundary of one recording: whatever goes wrong with it costs its item, and the error names it.

    A judge that cannot work at all says so by a UsageError, which ends the judging, as does a damaged run directory.

    Raises:
        _FailedRecordingError: anything else was raised.
    """
    try:
        yield
    except (UsageError, StoreError):
        raise
    except (Exception, SystemExit) as error:
        told = describe(error)
        raise _FailedRecordingError(told if recording in told else f"{recording}: {told}") from error


@dataclass(frozen=True, slots=True)
class _Heard:
    """A reply by its sound, or what keeps it from being judged."""

    trajectory: Trajectory | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class _User:
    """A user's turn as judged by all its streams, by its sound alone, and which streams the judge made use of."""

    by_all: Trajectory | None = None
    by_sound: Trajectory | None = None
    view: UserView | None = None


def _user_view(streams: Streams, modalities: Collection[Modality]) -> UserView | None:
    """The streams of a recording that a judge makes use of; None where it has none of them."""
    sound = streams.sound is not None and "audio" in modalities
    face = streams.face is not None and "video" in modalities
    if sound and face:
        return "audio_video"
    return "audio" if sound else "video" if face else None


def _judge(judgements: Judgements, judging: _Judging, questions: Sequence[_Reply], say: Say) -> None:
    writer = judgements.writer()
    try:
        with ThreadPoolExecutor(_JUDGED_AT_ONCE) as pool:
            for start, block in _blocks(questions):
                judged = pool.map(judging.judged, block)
                rows = [judgement_row(one.record.place, result) for one, result in zip(block, judged, strict=True)]
                writer.append(rows)
                if (start + len(block)) % _SAID_EVERY == 0 and start + len(block) < len(questions):
                    say(f"{start + len(block)} of {len(questions)} replies judged")
    finally:
        writer.close()


def _blocks(questions: Sequence[_Reply]) -> Iterator[tuple[int, Sequence[_Reply]]]:
    for start in range(0, len(questions), _STORED_AT_ONCE):
        yield start, questions[start : start + _STORED_AT_ONCE]
