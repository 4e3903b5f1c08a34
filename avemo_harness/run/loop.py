"""The asking loop: claim units, prepare requests ahead of the model, ask, store each answer."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, compress, groupby, islice
from typing import Any, Protocol

from avemo_harness.benchmark.planning import items_to_answer_first
from avemo_harness.benchmark.request import Item, ItemKey, Request, Response, StoredResponse
from avemo_harness.benchmark.task import LabelOutput, SpokenOutput, TaskSpec
from avemo_harness.errors import HistoryError, ModelError, StoreError, UsageError, describe, first_line
from avemo_harness.models.base import Concurrent, OmniModel, Prefetching
from avemo_harness.models.served.answers import without_thoughts
from avemo_harness.phases import beside, phase
from avemo_harness.run.answers import FailureStreak, checked_response, submit
from avemo_harness.run.claims import Claims
from avemo_harness.run.selection import Question, Unit
from avemo_harness.run.store import RunStore, Segment, stored_response
from avemo_harness.scorers.answers import rank_label
from avemo_harness.torch_setup import device_is_lost

POLL_S = 0.2
LOOK_S = 1.0
"""Seconds after which futures are looked at again, since `wait` hears nothing of one that was cancelled."""
PREPARING_THREADS = max(2, min(8, (os.cpu_count() or 2) // 2))
"""Make requests, and what a model needs for them, beside the asking."""


class Listener(Protocol):
    """Hears how the asking goes on."""

    def stored(self, records: Sequence[StoredResponse]) -> None:
        """Records that this or another worker has just stored."""
        ...

    def waiting(self, units: int) -> None:
        """Only units that other workers are asking remain."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """The way in which a model takes its requests.

    Args:
        step: requests given to it at once.
        lanes: steps that it answers side by side.
        ahead: steps beyond these whose requests are made, and whose clips are decoded, meanwhile.
        in_order: no step overtakes another one.
    """

    step: int
    lanes: int
    ahead: int
    in_order: bool

    @classmethod
    def of(cls, model: OmniModel, batch_size: int) -> Pace:
        """The pace of a model that is given `batch_size` requests at once."""
        if isinstance(model, Concurrent):
            return cls(step=1, lanes=batch_size, ahead=8, in_order=False)
        return cls(step=batch_size, lanes=1, ahead=1, in_order=True)


@dataclass(eq=False)
class Step:
    """Questions that the model is given at once.

    Args:
        questions: with the names of their units.
        after: items whose answers the histories of these need.
        requests: being made, one for each question.
    """

    questions: tuple[tuple[str, Question], ...]
    after: frozenset[ItemKey]
    requests: tuple[Future[Request], ...] = ()


@dataclass
class Pipeline:
    """Steps on their way: blocked by others, being prepared, ready; requests that are being answered."""

    blocked: list[Step] = field(default_factory=list)
    preparing: list[Step] = field(default_factory=list)
    ready: list[Step] = field(default_factory=list)
    asked: list[tuple[Future[Response], Request]] = field(default_factory=list)
    by_key: dict[str, list[tuple[str, Item]]] = field(default_factory=dict)
    """Items, with their units, that wait for the answer to a request."""
    settled: list[tuple[str, StoredResponse]] = field(default_factory=list)
    """Records to be stored, with their units."""

    @property
    def size(self) -> int:
        return len(self.preparing) + len(self.ready) + len(self.asked)


@dataclass
class Asker:
    """Asks a model the units of a run until every item has an answer, or an error of this invocation.

    Units are claimed as many at a time as a batch has places, and asked side by side, turn after turn: a batch joins
    questions about equal turns, whose histories are about equally long. A model that answers concurrently is given
    one request after the other, as many as it may have under way. Only what needs an answer as its history waits
    for it.

    Args:
        batch_size: requests given to the model at once, or under way at once.
        failures: ends the asking where item after item fails alike.
    """

    model: OmniModel
    store: RunStore
    segment: Segment
    claims: Claims
    batch_size: int
    listener: Listener | None
    failures: FailureStreak
    _pace: Pace = field(init=False)
    _failed_before: set[ItemKey] = field(default_factory=set)
    _open: dict[str, int] = field(default_factory=dict)
    _due: set[ItemKey] = field(default_factory=set)
    """Items of claimed units that are not settled yet."""
    _end: UsageError | None = None
    """Ends the run once everything that was answered is stored."""

    def __post_init__(self) -> None:
        self._pace = Pace.of(self.model, self.batch_size)

    def ask(self, units: Sequence[Unit]) -> None:
        """Ask everything that is missing; last of all, and once more, the units with items that failed before.

        Raises:
            UsageError: the model itself cannot answer, or too many items in a row failed alike.
            StoreError: the run directory cannot be written.
        """
        self._refresh()
        self._failed_before = set(self.store.errors)
        remaining = [unit for unit in units if self._missing(unit)]
        # What may end the run again must not keep the rest from being asked.
        remaining.sort(key=lambda unit: any(question.item_key in self._failed_before for question in unit.questions))
        pool = ThreadPoolExecutor(PREPARING_THREADS, thread_name_prefix="prepare", initializer=beside())
        try:
            while remaining:
                self._ask_unclaimed(remaining, pool)
                self._refresh()
                remaining = [unit for unit in remaining if self._missing(unit)]
                if remaining:
                    if self.listener is not None:
                        self.listener.waiting(len(remaining))
                    with phase("waiting"):
                        time.sleep(POLL_S)
        finally:
            pool.shutdown(cancel_futures=True)

    def _ask_unclaimed(self, units: Sequence[Unit], pool: ThreadPoolExecutor) -> None:
        pipeline, steps = Pipeline(), self._steps(units)
        while True:
            self._prepare_steps(pipeline, steps, pool)
            if not pipeline.size:
                return
            self._wait(pipeline)
            self._take_prepared(pipeline)
            self._send(pipeline)
            self._take_answered(pipeline)
            self._store_settled(pipeline)
            if self._end is not None:
                raise self._end

    def _steps(self, units: Sequence[Unit]) -> Iterator[Step]:
        """The missing questions of units, which are claimed as they are needed, in the order of their turns."""
        claimed = self._claimed(units)
        while cohort := list(islice(claimed, self._units_at_once(units))):
            questions = [(unit.name, question) for unit, missing in cohort for question in missing]
            self._due.update(question.item_key for _, question in questions)
            questions.sort(key=_turn_of)
            for _, turn in groupby(questions, key=_turn_of):
                # Labels, then replies: the answers of a batch are about equally long.
                by_kind = sorted(turn, key=lambda asked: asked[1].builder.task.output.type)
                for start in range(0, len(by_kind), self._pace.step):
                    batch = tuple(by_kind[start : start + self._pace.step])
                    needed = (_needed_first(question).values() for _, question in batch)
                    yield Step(batch, frozenset(chain.from_iterable(needed)))

    def _units_at_once(self, units: Sequence[Unit]) -> int:
        """As many as a batch has places, but no more than this worker's share of what is left."""
        workers = 1 if self._pace.step == 1 else len(self.claims.live_workers())
        if workers == 1:
            return self._pace.step
        # What is left stands at the end, and no more of it is counted than makes a difference.
        missing = (unit for unit in reversed(units) if self._missing(unit))
        left = sum(1 for _ in islice(missing, self._pace.step * workers))
        return max(1, min(self._pace.step, math.ceil(left / workers)))

    def _prepare_steps(self, pipeline: Pipeline, steps: Iterator[Step], pool: ThreadPoolExecutor) -> None:
        """Begin to make the requests of as many steps as may be on their way."""
        while pipeline.size < self._pace.lanes + self._pace.ahead:
            step = self._next_step(pipeline, steps)
            if step is None:
                return
            step.requests = tuple(pool.submit(self._prepare, question) for _, question in step.questions)
            pipeline.preparing.append(step)

    def _next_step(self, pipeline: Pipeline, steps: Iterator[Step]) -> Step | None:
        """The next step that waits for no answer; None while there is none."""
        for step in pipeline.blocked:
            if step.after.isdisjoint(self._due):
                pipeline.blocked.remove(step)
                return step
        while not pipeline.blocked or (not self._pace.in_order and pipeline.size < self._pace.lanes):
            upcoming = next(steps, None)
            if upcoming is None or upcoming.after.isdisjoint(self._due):
                return upcoming
            pipeline.blocked.append(upcoming)
        return None

    def _prepare(self, question: Question) -> Request:
        with phase("media"):
            request = question.builder.request(question.item, self._own_replies(question))
        if isinstance(self.model, Prefetching):
            # What fails here fails again where the request is answered, and is recorded there.
            with suppress(Exception):
                self.model.prefetch(request)
        return request

    def _own_replies(self, question: Question) -> dict[int, str]:
        """The model's replies to earlier turns, by turn, where the question's history needs them."""
        replies = {}
        for turn, key in _needed_first(question).items():
            response = self.store.answers.get(key)
            words = None if response is None else _words_of(response, question.builder.task)
            if words is None:
                raise HistoryError(f"the model's own reply to turn {turn} is needed for the history, and there is none")
            replies[turn] = words
        return replies

    def _claimed(self, units: Sequence[Unit]) -> Iterator[tuple[Unit, list[Question]]]:
        """Claim units one after another; each with what is missing of it."""
        for unit in units:
            if not self.claims.take(unit.name):
                continue
            # Another worker may have answered it between the last look and the claim.
            self._refresh()
            missing = self._missing(unit)
            if not missing:
                self.claims.release(unit.name)
                continue
            self._open[unit.name] = len(missing)
            yield unit, missing

    def _missing(self, unit: Unit) -> list[Question]:
        return [q for q in unit.questions if not self._settled(q.item_key)]

    def _settled(self, item_key: ItemKey) -> bool:
        return item_key in self.store.answers or (item_key in self.store.errors and item_key not in self._failed_before)

    @phase("store")
    def _refresh(self) -> None:
        new = self.store.refresh()
        self._failed_before -= {record.item_key for record in new}
        if new and self.listener is not None:
            self.listener.stored(new)

    @phase("waiting")
    def _wait(self, pipeline: Pipeline) -> None:
        if pipeline.ready and len(pipeline.asked) < self._pace.lanes:
            return
        if self._pace.in_order:
            wait(pipeline.preparing[0].requests)
        else:
            pending: list[Future[Any]] = [request for step in pipeline.preparing for request in step.requests]
            pending += [answered for answered, _ in pipeline.asked]
            wait(pending, timeout=LOOK_S, return_when=FIRST_COMPLETED)

    def _take_prepared(self, pipeline: Pipeline) -> None:
        for step in list(pipeline.preparing):
            if all(request.done() for request in step.requests):
                pipeline.preparing.remove(step)
                pipeline.ready.append(step)
            elif self._pace.in_order:
                return

    def _send(self, pipeline: Pipeline) -> None:
        while pipeline.ready and len(pipeline.asked) < self._pace.lanes:
            new: dict[str, Request] = {}
            step = pipeline.ready.pop(0)
            for (unit, question), made in zip(step.questions, step.requests, strict=True):
                item = question.item
                try:
                    request = made.result()
                except Exception as error:
                    pipeline.settled.append((unit, _unprepared(item, error)))
                    continue
                if known := self.store.by_key.get(request.key):
                    pipeline.settled.append((unit, _copy_for(item, known)))
                else:
                    if request.key not in pipeline.by_key:
                        new[request.key] = request
                    pipeline.by_key.setdefault(request.key, []).append((unit, item))
            # One that answers concurrently lays out its requests here, and is waited for elsewhere.
            with phase("prepare" if isinstance(self.model, Concurrent) else "generate"):
                pipeline.asked += zip(submit(self.model, list(new.values())), new.values(), strict=True)

    def _take_answered(self, pipeline: Pipeline) -> None:
        done = [answered.done() for answered, _ in pipeline.asked]
        taken = list(compress(pipeline.asked, done))
        pipeline.asked = [asked for asked, is_done in zip(pipeline.asked, done, strict=True) if not is_done]
        for answered, request in taken:
            waiting = pipeline.by_key.pop(request.key)
            try:
                record = self._record(waiting[0][1], request, answered)
            except UsageError as error:
                # What was answered beside it is stored before the run ends.
                self._end = self._end or error
                continue
            pipeline.settled += [(unit, _copy_for(item, record)) for unit, item in waiting]

    def _store_settled(self, pipeline: Pipeline) -> None:
        if not pipeline.settled:
            return
        by_unit: dict[str, list[StoredResponse]] = {}
        for unit, record in pipeline.settled:
            by_unit.setdefault(unit, []).append(record)
        with phase("store"), self.claims.kept(by_unit) as ours:
            self.segment.append(record for unit in by_unit if unit in ours for record in by_unit[unit])
        self._refresh()
        for unit, done in by_unit.items():
            self._open[unit] -= len(done)
            if self._open[unit] == 0:
                self.claims.release(unit)
        records = [record for _, record in pipeline.settled]
        pipeline.settled.clear()
        self._due.difference_update(record.item_key for record in records)
        self.failures.add(records)

    def _record(self, item: Item, request: Request, answered: Future[Response]) -> StoredResponse:
        """The record of an answer, whose speech is stored first; whatever is wrong with it is the item's error.

        Raises:
            UsageError: the model itself cannot answer.
            StoreError: the run directory cannot be written.
        """
        try:
            response = checked_response(answered.result(), request)
            with phase("store"):
                speech = self.segment.write_speech(request.key, response.speech) if response.speech else {}
        except (UsageError, StoreError):
            raise
        except Exception as error:
            if device_is_lost(error):
                self._end = ModelError(
                    f"the model's device is lost ({first_line(error)}); what is answered is kept: the same command "
                    "goes on, and asks what was asked at that moment last; with --batch_size 1, that is one item"
                )
            response, speech = Response(error=describe(error)), {}
        return stored_response(item, request.key, response, speech)


def _unprepared(item: Item, error: Exception) -> StoredResponse:
    """The record of an item whose request cannot be made.

    Raises:
        UsageError, StoreError: the error is one of these, which concern the whole run.
    """
    if isinstance(error, UsageError | StoreError):
        raise error
    return stored_response(item, None, Response(error=describe(error)))


def _copy_for(item: Item, known: StoredResponse) -> StoredResponse:
    """The record of an item that asks exactly what another item asked."""
    return replace(known, task=item.task, item=item.item_id)


def _words_of(response: Response, task: TaskSpec) -> str | None:
    """An answer as a history shows it: without thoughts, and of a ranking the label or letter that came first."""
    if response.text is not None:
        return response.text if isinstance(task.output, SpokenOutput) else without_thoughts(response.text).strip()
    if isinstance(task.output, LabelOutput):
        return rank_label(response, task.output).label
    letters = response.label_logprobs or {}
    return max(letters, key=lambda letter: letters[letter], default=None)


def _turn_of(asked: tuple[str, Question]) -> int:
    return asked[1].item.turn_index


def _needed_first(question: Question) -> dict[int, ItemKey]:
    """The items whose answers a question's history needs, by turn."""
    item, builder = question.item, question.builder
    needed = items_to_answer_first(builder.task, builder.release, item)
    return {turn: (item.task, item_id) for turn, item_id in needed.items()}
