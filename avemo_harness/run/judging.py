"""The judging stage: a recogniser judges user turns and spoken replies; judgements as stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, Release
from avemo_harness.benchmark.request import Item, ItemKey, StoredResponse
from avemo_harness.errors import RecognitionError, SampleError, StorageError, StoreError, UsageError, describe
from avemo_harness.files import exclusive_lock, read_whole, write_atomically
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers import EMBEDDED
from avemo_harness.recognizers.judging import TrajectoryJudge, judge_modalities
from avemo_harness.recognizers.recordings import Modality, Recording, SingleModality
from avemo_harness.run.json_files import (
    LineWriter,
    complete_lines,
    cut_after,
    parse_line,
    read_sealed_json,
    sealed_json,
)
from avemo_harness.run.store import RunStore
from avemo_harness.scorers.base import Judge, Judgement, UserView

DECIMALS = 4
"""Trajectories are stored rounded, so that results do not depend on the order of floating-point sums."""


@dataclass(frozen=True, slots=True)
class Judgements:
    """The judgements of one judge in a run directory.

    Args:
        folder: the run directory.
        judge: whose they are.
    """

    folder: Path
    judge: Judge

    def write_judge(self) -> None:
        """Keep who judges, beside the judgements."""
        write_atomically(self._path("json"), sealed_json(asdict(self.judge)))

    def choose(self) -> None:
        """Let the run be scored by this judge from now on."""
        write_atomically(self.folder / "judge.json", sealed_json({"digest": self.judge.digest}))

    def read(self) -> dict[ItemKey, Judgement]:
        """Every judgement that is whole, the last one of each item."""
        return self._read()[0]

    @property
    def damage(self) -> list[str]:
        """Damaged lines, a sentence each; their items count as not judged."""
        return self._read()[1]

    def _read(self) -> tuple[dict[ItemKey, Judgement], list[str]]:
        path = self._path("jsonl")
        found: dict[ItemKey, Judgement] = {}
        damage: list[str] = []
        for number, line in enumerate(complete_lines(path)[0] if path.exists() else [], 1):
            try:
                row = parse_line(line)
                found[row["task"], row["item"]] = self._judged(row)
            except (ValueError, TypeError, KeyError) as error:
                where = f"{path.relative_to(self.folder)}, line {number}"
                damage.append(f"{where}: damaged ({error}); avemo-eval judge RUN judges its item again")
        return found, damage

    def writer(self) -> LineWriter:
        """Appends judgements (`judgement_row`); what a killed judge left half written is cut off first."""
        path = self._path("jsonl")
        if path.exists():
            cut_after(path, complete_lines(path)[1])
        return LineWriter(path)

    def _judged(self, row: Mapping[str, Any]) -> Judgement:
        return Judgement(
            judge=self.judge,
            user=_trajectory(row.get("user")),
            user_audio=_trajectory(row.get("user_audio")),
            reply=_trajectory(row.get("reply")),
            why=row.get("why"),
            place=row["place"],
            has_reference=row["has_reference"],
            error=row.get("error"),
            user_view=row.get("user_view"),
            n_clipped=row.get("n_clipped", 0),
        )

    def _path(self, suffix: str) -> Path:
        return self.folder / "judgements" / f"{self.judge.digest[:16]}.{suffix}"


def chosen_judgements(folder: Path) -> Judgements | None:
    """The judgements that a run is scored by; None where no judge was asked yet.

    Raises:
        StorageError: what names the judge cannot be read.
        StoreError: it is damaged.
    """
    path = folder / "judge.json"
    if not path.exists():
        return None
    again = f"name the judge again, which keeps what it judged: avemo-eval judge {folder} --recognizer NAME"
    try:
        digest = read_sealed_json(path)["digest"]
        path = folder / "judgements" / f"{digest[:16]}.json"
        values = read_sealed_json(path)
        calibration = values["calibration"]
        judge = Judge(**{**values, "calibration": Calibration(**calibration) if calibration else None})
    except StorageError as error:
        if not error.missing:
            raise
        raise StoreError(f"{path}: is missing; {again}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: the judge cannot be read ({error}); {again}") from error
    return Judgements(folder, judge)


def judgement_row(item_key: ItemKey, judged: Judgement) -> dict[str, Any]:
    """The line of a judgement."""
    row = {
        "task": item_key[0],
        "item": item_key[1],
        "place": judged.place,
        "has_reference": judged.has_reference,
        "user": _stored(judged.user),
        "user_audio": _stored(judged.user_audio),
        "reply": _stored(judged.reply),
        "why": judged.why,
        "error": judged.error,
        "user_view": judged.user_view,
        "n_clipped": judged.n_clipped or None,
    }
    return {name: value for name, value in row.items() if value is not None}


def _stored(trajectory: Trajectory | None) -> dict[str, Any] | None:
    if trajectory is None:
        return None
    columns: Iterable[str] = trajectory.columns
    values = {name: trajectory.values[:, i].round(DECIMALS).tolist() for i, name in enumerate(columns)}
    return {"scale": trajectory.scale, "rate_hz": float(trajectory.rate_hz), "values": values}


def _trajectory(stored: Mapping[str, Any] | None) -> Trajectory | None:
    if stored is None:
        return None
    columns = tuple(stored["values"])
    values = np.array([stored["values"][name] for name in columns], dtype=np.float64).T.reshape(-1, len(columns))
    return Trajectory(values, columns, stored["scale"], stored["rate_hz"])


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
    with exclusive_lock(folder / "claims" / ".judging", waiting):
        store = RunStore(folder)
        store.refresh()
        # What could not be judged before is tried again.
        judged = {item_key for item_key, one in judgements.read().items() if one.error is None}
        questions = [
            _Reply(item, record, release)
            for task, release in releases.items()
            for item in store.read_items(task)
            if (record := store.answers.get((task, item.item_id))) and record.item_key not in judged
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
    record: StoredResponse
    release: Release


@dataclass
class _Judging:
    """Judges one answer after the other; a user's turn is judged once for all tasks that ask about it."""

    folder: Path
    judge: Judge
    recognizer: TrajectoryJudge
    _users: dict[tuple[str, Modality], Trajectory] = field(default_factory=dict)
    _judging: dict[tuple[str, Modality], Lock] = field(default_factory=dict)

    def judged(self, one: _Reply) -> Judgement:
        turns = one.release.dialogue(one.item.dialogue_id).turns
        index = one.item.turn_index
        asked = Judgement(
            judge=self.judge,
            place=sum(turn.role == "user" for turn in turns[:index]),
            has_reference=index + 1 < len(turns) and turns[index + 1].role == "assistant",
        )
        clip, speech = turns[index].clip, one.record.speech_path
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
        streams = Recording.of(clip)
        if not streams.views:
            return _User()
        whole = streams.views[0]
        view = _user_view(streams, judge_modalities(self.recognizer))
        if view is None:
            raise RecognitionError("the judge makes use of sound alone, and the turn has none")
        by_sound = self._remembered(clip, streams, "audio") if "audio" in streams.views else None
        by_all = by_sound if whole == "audio" else self._remembered(clip, streams, whole)
        return _User(by_all, by_sound, view)

    def _remembered(self, clip: Clip, streams: Recording, view: Modality) -> Trajectory:
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
        return _Heard(self._follow(Recording(clip, None, len(samples) / rate), "audio"))

    def _follow(self, streams: Recording, view: Modality) -> Trajectory:
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


def _user_view(streams: Recording, modalities: Collection[SingleModality]) -> UserView | None:
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
                rows = [judgement_row(one.record.item_key, result) for one, result in zip(block, judged, strict=True)]
                writer.append(rows)
                if (start + len(block)) % _SAID_EVERY == 0 and start + len(block) < len(questions):
                    say(f"{start + len(block)} of {len(questions)} replies judged")
    finally:
        writer.close()


def _blocks(questions: Sequence[_Reply]) -> Iterator[tuple[int, Sequence[_Reply]]]:
    for start in range(0, len(questions), _STORED_AT_ONCE):
        yield start, questions[start : start + _STORED_AT_ONCE]
