"""The asking loop: claim units, make their requests ahead of the model, ask in batches, store.

Any number of processes run this loop on one run directory. They meet only in claims and segments.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Protocol

from avemo_harness.benchmark.planning import Asking, turn_item_id, turns_to_answer_first
from avemo_harness.benchmark.request import Item, Request, Response
from avemo_harness.errors import GenerationError, SampleError, StoreError, UsageError, describe
from avemo_harness.models.base import OmniModel, Prefetching
from avemo_harness.run.claims import Claims
from avemo_harness.run.responses import checked_response
from avemo_harness.run.store import Record, RunStore, Segment

POLL_S = 0.2
PREPARING_THREADS = 2
BATCHES_AHEAD = 2
"""Batches whose requests are made, and whose clips are decoded, while another one is answered."""


@dataclass(frozen=True, slots=True)
class Question:
    """An item with what turns it into a request."""

    asking: Asking
    item: Item

    @property
    def place(self) -> tuple[str, str]:
        return (self.item.task, self.item.item_id)


@dataclass(frozen=True, slots=True)
class Unit:
    """Questions that are claimed together: those of one dialogue under one condition.

    Args:
        questions: in turn order; about one turn, those for labels come before those for replies.
    """

    name: str
    questions: tuple[Question, ...]


class Listener(Protocol):
    """Hears how the asking goes on."""

    def stored(self, records: Sequence[Record]) -> None:
        """Records that this or another worker has just stored."""
        ...

    def waiting(self, units: int) -> None:
        """Only units that other workers are asking remain."""
        ...


@dataclass
class InFlight:
    """A question that is being prepared; None where that must wait for the replies to earlier turns."""

    unit: Unit
    question: Question
    request: Future[Request] | None


@dataclass
class Asker:
    """Asks a model the units of a run until every item has an answer, or an error of this invocation.

    Units are claimed as many at a time as a batch has places, and asked side by side, turn after turn: a batch joins
    questions about equal turns, whose histories are about equally long.

    Args:
        batch_size: requests given to the model at once.
    """

    model: OmniModel
    store: RunStore
    segment: Segment
    claims: Claims
    batch_size: int
    listener: Listener
    _failed_before: set[tuple[str, str]] = field(default_factory=set)
    _open: dict[str, int] = field(default_factory=dict)

    def ask(self, units: Sequence[Unit]) -> None:
        """Ask everything that is missing. Items that failed in an earlier invocation are asked once more."""
        self._refresh()
        self._failed_before = set(self.store.errors)
        remaining = [unit for unit in units if self._missing(unit)]
        pool = ThreadPoolExecutor(PREPARING_THREADS, thread_name_prefix="prepare")
        try:
            while remaining:
                self._ask_what_is_free(remaining, pool)
                self._refresh()
                remaining = [unit for unit in remaining if self._missing(unit)]
                if remaining:
                    self.listener.waiting(len(remaining))
                    time.sleep(POLL_S)
        finally:
            pool.shutdown(cancel_futures=True)

    def _ask_what_is_free(self, units: Sequence[Unit], pool: ThreadPoolExecutor) -> None:
        batches = self._batches(units, pool)
        ready: deque[list[InFlight]] = deque()
        more = True
        while more or ready:
            while more and len(ready) < BATCHES_AHEAD:
                following = next(batches, None)
                if following is None:
                    more = False
                else:
                    ready.append(following)
            if ready:
                self._ask_batch(ready.popleft())

    def _batches(self, units: Sequence[Unit], pool: ThreadPoolExecutor) -> Iterator[list[InFlight]]:
        """Batches of claimed units, in the making when they are given out."""
        claimed = self._claimed(units)
        while cohort := list(islice(claimed, self._units_at_once(units))):
            questions = [(unit, question) for unit, missing in cohort for question in missing]
            questions.sort(key=lambda one: one[1].item.turn_index)
            for _, step in groupby(questions, key=lambda one: one[1].item.turn_index):
                # Labels, then replies.
                by_kind = sorted(step, key=lambda one: one[1].asking.task.output.type)
                for start in range(0, len(by_kind), self.batch_size):
                    batch = by_kind[start : start + self.batch_size]
                    yield [InFlight(unit, one, self._preparing(one, pool)) for unit, one in batch]

    def _units_at_once(self, units: Sequence[Unit]) -> int:
        """As many as a batch has places, but no more than this worker's share of what is left."""
        workers = 1 if self.batch_size == 1 else len(self.claims.live_workers())
        if workers == 1:
            return self.batch_size
        left = sum(bool(self._missing(unit)) for unit in units)
        return max(1, min(self.batch_size, math.ceil(left / workers)))

    def _preparing(self, question: Question, pool: ThreadPoolExecutor) -> Future[Request] | None:
        return None if question.asking.task.context.needs_own_replies else pool.submit(self._prepare, question)

    def _prepare(self, question: Question) -> Request:
        request = question.asking.request(question.item, self._own_replies(question))
        if isinstance(self.model, Prefetching):
            # What fails here fails again where the request is answered, and is recorded there.
            with suppress(Exception):
                self.model.prefetch(request)
        return request

    def _own_replies(self, question: Question) -> dict[int, str]:
        """What the model replied to earlier turns, by turn, where the question's history needs it."""
        item, asking = question.item, question.asking
        replies = {}
        for turn in turns_to_answer_first(asking.task, asking.release, item):
            record = self.store.answers.get((item.task, turn_item_id(item.dialogue_id, turn)))
            if record is None or record.text is None:
                raise GenerationError(
                    f"the model's own reply to turn {turn} is needed for the history, and there is none"
                )
            replies[turn] = record.text
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
        return [q for q in unit.questions if not self._settled(q.place)]

    def _settled(self, place: tuple[str, str]) -> bool:
        return place in self.store.answers or (place in self.store.errors and place not in self._failed_before)

    def _refresh(self) -> None:
        new = self.store.refresh()
        self._failed_before -= {record.place for record in new}
        if new:
            self.listener.stored(new)

    def _ask_batch(self, batch: Sequence[InFlight]) -> None:
        records: dict[tuple[str, str], Record] = {}
        asked: dict[str, tuple[Item, Request]] = {}
        sharing: list[tuple[Item, str]] = []
        for one in batch:
            item = one.question.item
            try:
                request = one.request.result() if one.request else self._prepare(one.question)
            except Exception as error:
                records[one.question.place] = unprepared(item, error)
                continue
            if request.key in asked or request.key in self.store.by_key:
                sharing.append((item, request.key))
            else:
                asked[request.key] = (item, request)
        answered: dict[str, Record] = {}
        responses = self._generate([request for _, request in asked.values()])
        for (item, request), response in zip(asked.values(), responses, strict=True):
            answered[request.key] = self._record(item, request, response)
        for item, key in sharing:
            known = answered.get(key) or self.store.by_key[key]
            records[(item.task, item.item_id)] = copy_for(item, known)
        records.update({record.place: record for record in answered.values()})
        self._store(batch, records)

    def _record(self, item: Item, request: Request, returned: object) -> Record:
        """The record of what the model returned, whose speech is stored first; whatever is wrong with it is its error.

        Raises:
            StoreError: the run directory cannot be written.
        """
        response = checked_response(returned, request)
        try:
            speech = self.segment.write_speech(request.key, response.speech) if response.speech else None
        except SampleError as error:
            response, speech = Response(error=describe(error)), None
        return Record.of(item, request.key, response, speech)

    def _generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        if not requests:
            return []
        try:
            responses = self.model.generate(requests)
            if len(responses) != len(requests):
                raise GenerationError(f"{len(responses)} responses came back for {len(requests)} requests")
            return responses
        except UsageError:
            # The model itself cannot answer, whatever it is asked: the user must know before all items have failed.
            raise
        except Exception as error:
            # One bad sample must not void the others, so a failed batch is asked one by one.
            if len(requests) > 1:
                return [response for request in requests for response in self._generate([request])]
            return [Response(error=describe(error))]

    def _store(self, batch: Sequence[InFlight], records: dict[tuple[str, str], Record]) -> None:
        by_unit: dict[str, list[Record]] = {}
        for one in batch:
            by_unit.setdefault(one.unit.name, []).append(records[one.question.place])
        with self.claims.kept(by_unit) as ours:
            self.segment.append(record for unit in by_unit if unit in ours for record in by_unit[unit])
        self._refresh()
        for unit, done in by_unit.items():
            self._open[unit] -= len(done)
            if self._open[unit] == 0:
                self.claims.release(unit)


def unprepared(item: Item, error: Exception) -> Record:
    """The record of an item whose request cannot be made.

    Raises:
        UsageError, StoreError: the error is one of these, which concern the whole run.
    """
    if isinstance(error, UsageError | StoreError):
        raise error
    return Record.of(item, None, Response(error=describe(error)))


def copy_for(item: Item, known: Record) -> Record:
    """The record of an item that asks exactly what another item asked."""
    return replace(known, task=item.task, item=item.item_id)
