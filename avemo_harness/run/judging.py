"""The judging stage: a recogniser judges user turns and spoken replies; judgements as stored."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, Release
from avemo_harness.benchmark.request import Item, ItemKey, StoredResponse
from avemo_harness.errors import RecognitionError, SampleError, StorageError, StoreError, UsageError
from avemo_harness.files import exclusive_lock, read_whole, write_atomically
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.phases import PhaseClock, phase
from avemo_harness.recognizers import EMBEDDED
from avemo_harness.recognizers.judging import TrajectoryJudge, judge_modalities, naming
from avemo_harness.recognizers.recordings import Modality, Recording, SingleModality
from avemo_harness.run.json_files import (
    LineWriter,
    WorkerTiming,
    add_timing,
    appending_writer,
    read_sealed_json,
    sealed_json,
    take_rows,
)
from avemo_harness.run.store import RunStore, read_items
from avemo_harness.scorers.base import Judge, Judgement, UserView
from avemo_harness.text import Notify
from avemo_harness.torch_setup import one_blas_thread

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

    @property
    def judge_is_kept(self) -> bool:
        """`write_judge` was called before, perhaps with another card of the same judge."""
        return self._path("json").exists()

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
        found: dict[ItemKey, Judgement] = {}

        def take(row: Mapping[str, Any]) -> None:
            found[row["task"], row["item"]] = self._judgement(row)

        advice = "avemo-eval judge RUN judges its item again"
        return found, take_rows(self._path("jsonl"), self.folder, take, advice)

    def writer(self) -> LineWriter:
        """Appends judgements (`judgement_row`); what a killed judge left half written is cut off first."""
        return appending_writer(self._path("jsonl"))

    def _judgement(self, row: Mapping[str, Any]) -> Judgement:
        values = {field.name: row[field.name] for field in fields(Judgement) if field.name in row}
        trajectories = {name: _trajectory(row.get(name)) for name in _TRAJECTORIES}
        return Judgement(**{**values, **trajectories, "judge": self.judge, "turn_number": row["place"]})

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


_TRAJECTORIES = ("user", "user_audio", "reply")


def judgement_row(item_key: ItemKey, judgement: Judgement) -> dict[str, Any]:
    """The line of a judgement, in which `turn_number` is called ``place``."""
    row = {field.name: getattr(judgement, field.name) for field in fields(Judgement) if field.name != "judge"}
    row |= {name: _stored(row[name]) for name in _TRAJECTORIES}
    row |= {"task": item_key[0], "item": item_key[1], "place": row.pop("turn_number")}
    return {name: value for name, value in row.items() if value is not None and (name, value) != ("n_clipped", 0)}


def _stored(trajectory: Trajectory | None) -> dict[str, Any] | None:
    if trajectory is None:
        return None
    rounded = trajectory.values.round(DECIMALS)
    values: dict[str, list[float]] = {name: rounded[:, i].tolist() for i, name in enumerate(trajectory.columns)}
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


def describe_judge(name: str, recognizer: TrajectoryJudge) -> Judge:
    """Identity and card of a recogniser as a run keeps them."""
    identity, card = json.dumps(dict(recognizer.identity()), sort_keys=True), dict(recognizer.card_values)
    return Judge(
        name=name,
        digest=hashlib.sha256(identity.encode()).hexdigest(),
        calibration=recognizer.calibration,
        rmse=dict(recognizer.errors),
        card=card,
        embedded=name == EMBEDDED or card.get("embedded") is True,
    )


def judge_run(
    folder: Path,
    name: str,
    recognizer: TrajectoryJudge,
    releases: Mapping[str, Release],
    say: Notify,
    *,
    choose: bool = True,
) -> Judgements:
    """Judge every answer that this recogniser has not judged yet, and score the run by it from now on.

    Answers are left untouched. What was judged before a kill is kept; one process judges, others wait for it.

    Args:
        name: how the user calls the recogniser.
        releases: by task, of the tasks whose replies are to be judged.
        choose: whether the run is scored by it from now on; else that stays as it is.

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
        judged = {item_key for item_key, judgement in judgements.read().items() if judgement.error is None}
        replies = [
            (item, response, release)
            for task, release in releases.items()
            for item in read_items(folder, task)
            if (response := store.answers.get((task, item.item_id))) and response.item_key not in judged
        ]
        if choose or not judgements.judge_is_kept:
            judgements.write_judge()
        if replies:
            say(f"judging {len(replies)} replies with the recogniser {name!r}")
            started, clock = time.time(), PhaseClock()
            with clock.asking():
                with phase("judge"):
                    _judge(judgements, _ReplyJudge(folder, judgements.judge, recognizer), replies, say)
                # Judgements that a run is not to be scored by leave all else of it as it was.
                if choose:
                    timing = WorkerTiming.of(secrets.token_hex(6), started, len(replies), clock, "judging")
                    add_timing(folder, timing, say)
        if choose:
            judgements.choose()
    return judgements


_Reply = tuple[Item, StoredResponse, Release]
"""An answer to a task of spoken replies, and the release with the turn that it answers."""


@dataclass
class _ReplyJudge:
    """Judges one answer after the other; a user's turn is judged once for all tasks that ask about it."""

    folder: Path
    identity: Judge
    recognizer: TrajectoryJudge
    _users: dict[tuple[str, Modality], Trajectory] = field(default_factory=dict)
    _locks: dict[tuple[str, Modality], Lock] = field(default_factory=dict)

    def judge(self, reply: _Reply) -> Judgement:
        item, response, release = reply
        dialogue, index = release.dialogue(item.dialogue_id), item.turn_index
        unjudged = judgement = Judgement(
            judge=self.identity,
            turn_number=sum(turn.role == "user" for turn in dialogue.turns[:index]),
            has_reference=dialogue.is_answered(index),
        )
        clip, speech = dialogue.turns[index].clip, response.speech_path
        try:
            if clip is not None:
                with naming(clip.name):
                    judgement = self._with_user(judgement, clip)
            if speech is not None:
                with naming(speech):
                    judgement = self._with_reply(judgement, speech)
        except SampleError as error:
            return replace(unjudged, error=str(error))
        # A turn without a face has one trajectory for both views: its clipped values are counted once.
        trajectories = (judgement.user, judgement.user_audio, judgement.reply)
        distinct = {id(trajectory): trajectory for trajectory in trajectories if trajectory is not None}
        return replace(judgement, n_clipped=sum(trajectory.n_clipped for trajectory in distinct.values()))

    def _with_user(self, judgement: Judgement, clip: Clip) -> Judgement:
        recording = Recording.of(clip)
        if not recording.views:
            return judgement
        view = _user_view(recording, judge_modalities(self.recognizer))
        if view is None:
            raise RecognitionError("the judge makes use of sound alone, and the turn has none")
        # One that hears alone is not asked about the same sound again.
        whole = "audio" if view == "audio" else recording.views[0]
        by_sound = self._remembered(clip, recording, "audio") if "audio" in recording.views else None
        by_all = by_sound if whole == "audio" else self._remembered(clip, recording, whole)
        return replace(judgement, user=by_all, user_audio=by_sound, user_view=view)

    def _remembered(self, clip: Clip, recording: Recording, view: Modality) -> Trajectory:
        key = (clip.sha256, view)
        with self._locks.setdefault(key, Lock()):
            if key not in self._users:
                self._users[key] = self._trajectory_of(recording, view)
            return self._users[key]

    def _with_reply(self, judgement: Judgement, speech: str) -> Judgement:
        data = read_whole(self.folder / speech)
        samples, rate = media.read_sound_file(data)
        if not len(samples):
            return replace(judgement, why="empty")
        if media.active_level(samples, rate) < SILENT_LEVEL:
            return replace(judgement, why="silent")
        recording = Recording(Clip.from_bytes(data, speech), None, len(samples) / rate)
        return replace(judgement, reply=self._trajectory_of(recording, "audio"))

    def _trajectory_of(self, recording: Recording, view: Modality) -> Trajectory:
        # A plug-in may return anything.
        found: object = self.recognizer.trajectory(recording, view)
        if not isinstance(found, Trajectory):
            raise RecognitionError(f"the judge gave {type(found).__name__}, expected a Trajectory")
        return found


def _user_view(recording: Recording, modalities: Collection[SingleModality]) -> UserView | None:
    """The streams of a recording that a judge makes use of; None where it has none of them."""
    sound = recording.sound is not None and "audio" in modalities
    face = recording.face is not None and "video" in modalities
    if sound and face:
        return "audio_video"
    return "audio" if sound else "video" if face else None


def _judge(judgements: Judgements, reply_judge: _ReplyJudge, replies: Sequence[_Reply], say: Notify) -> None:
    writer = judgements.writer()
    try:
        with one_blas_thread(), ThreadPoolExecutor(_JUDGED_AT_ONCE) as pool:
            for start in range(0, len(replies), _STORED_AT_ONCE):
                block = replies[start : start + _STORED_AT_ONCE]
                judged = zip(block, pool.map(reply_judge.judge, block), strict=True)
                writer.append([judgement_row(response.item_key, judgement) for (_, response, _), judgement in judged])
                done = start + len(block)
                if done % _SAID_EVERY == 0 and done < len(replies):
                    say(f"{done} of {len(replies)} replies judged")
    finally:
        writer.close()
