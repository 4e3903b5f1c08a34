"""The judging stage: a recogniser follows the user's turns and the spoken replies of a run. Needs no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, Release
from avemo_harness.benchmark.request import Item
from avemo_harness.errors import SampleError, describe
from avemo_harness.locks import one_at_a_time
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers import EMBEDDED
from avemo_harness.recognizers.judges import TrajectoryJudge
from avemo_harness.recognizers.streams import Streams, View
from avemo_harness.run.judgements import Judgements, judgement_row
from avemo_harness.run.store import Record, RunStore
from avemo_harness.scorers.judged import Judge, Judged

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
        StoreError: the directory is damaged or cannot be written.
    """
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
        try:
            user, user_audio = self._user(turns[index].clip)
            reply, why = self._reply(one.record)
        except SampleError as error:
            return replace(asked, error=describe(error))
        return replace(asked, user=user, user_audio=user_audio, reply=reply, why=why)

    def _user(self, clip: Clip | None) -> tuple[Trajectory | None, Trajectory | None]:
        """The user's turn by all its streams, and by its sound alone."""
        if clip is None:
            return None, None
        streams = Streams.of(clip)
        by_view = {
            view: self._remembered(clip, streams, view) for view in streams.views if view in (streams.views[0], "audio")
        }
        return by_view[streams.views[0]], by_view.get("audio")

    def _remembered(self, clip: Clip, streams: Streams, view: View) -> Trajectory:
        key = (clip.sha256, view)
        with self._judging.setdefault(key, Lock()):
            if key not in self._users:
                self._users[key] = self.recognizer.trajectory(streams, view)
            return self._users[key]

    def _reply(self, record: Record) -> tuple[Trajectory | None, str | None]:
        """The reply by its sound, or what keeps it from being judged."""
        if record.speech is None:
            return None, None
        path = self.folder / (record.speech or "")
        samples, rate = media.read_sound_file(path)
        if not len(samples):
            return None, "empty"
        if media.active_level(samples, rate) < SILENT_LEVEL:
            return None, "silent"
        clip = Clip.from_bytes(path.read_bytes(), record.speech or "")
        return self.recognizer.trajectory(Streams(clip, None, len(samples) / rate), "audio"), None


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
