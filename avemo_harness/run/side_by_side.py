"""The asking loop for a model that answers side by side: requests are kept under way, answers stored as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import GenerationError, UsageError, describe
from avemo_harness.models.base import Concurrent
from avemo_harness.run.loop import Asker, InFlight, Question, Unit, copy_for, unprepared
from avemo_harness.run.store import Record

AHEAD = 8
"""Requests that are made ready while as many as may be are under way."""


@dataclass(frozen=True, slots=True)
class _Chain:
    """Questions of a unit that are asked one after the other, since each has the reply to the one before as history."""

    unit: Unit
    questions: tuple[Question, ...]

    @property
    def first(self) -> InFlight:
        return InFlight(self.unit, self.questions[0], None)


@dataclass
class _Flow:
    """What is going on: chains whose first question is being made ready, is ready, or is being answered."""

    preparing: dict[Future[Request], _Chain] = field(default_factory=dict)
    ready: deque[tuple[_Chain, Request]] = field(default_factory=deque)
    asked: dict[Future[Response], tuple[Request, list[_Chain]]] = field(default_factory=dict)
    by_key: dict[str, list[_Chain]] = field(default_factory=dict)
    """Chains that wait for the answer to a request under way."""
    settled: list[tuple[_Chain, Record]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.preparing) + len(self.ready) + len(self.asked)


class SideBySideAsker(Asker):
    """Keeps `batch_size` requests under way. Only what needs an answer as its history waits for it."""

    def _ask_what_is_free(self, units: Sequence[Unit], pool: ThreadPoolExecutor) -> None:
        flow, continued, chains = _Flow(), deque[_Chain](), self._chains(units)
        while True:
            while flow.size < self.batch_size + AHEAD:
                chain = continued.popleft() if continued else next(chains, None)
                if chain is None:
                    break
                flow.preparing[pool.submit(self._prepare, chain.questions[0])] = chain
            if not flow.size:
                return
            pending: list[Future[Any]] = [*flow.preparing, *flow.asked]
            wait(pending, return_when=FIRST_COMPLETED)
            self._take_prepared(flow)
            self._send(flow)
            self._take_answered(flow)
            continued.extend(self._store_settled(flow))

    def _chains(self, units: Sequence[Unit]) -> Iterator[_Chain]:
        """What is missing of units, which are claimed one after another."""
        for unit, missing in self._claimed(units):
            alone = [one for one in missing if not one.asking.task.context.needs_own_replies]
            yield from (_Chain(unit, (question,)) for question in alone)
            if own := tuple(one for one in missing if one.asking.task.context.needs_own_replies):
                yield _Chain(unit, own)

    def _take_prepared(self, flow: _Flow) -> None:
        for prepared in [one for one in flow.preparing if one.done()]:
            chain = flow.preparing.pop(prepared)
            try:
                flow.ready.append((chain, prepared.result()))
            except Exception as error:
                flow.settled.append((chain, unprepared(chain.questions[0].item, error)))

    def _send(self, flow: _Flow) -> None:
        assert isinstance(self.model, Concurrent)
        while flow.ready and len(flow.asked) < self.batch_size:
            chain, request = flow.ready.popleft()
            if known := self.store.by_key.get(request.key):
                flow.settled.append((chain, copy_for(chain.questions[0].item, known)))
            elif request.key in flow.by_key:
                flow.by_key[request.key].append(chain)
            else:
                waiting = flow.by_key[request.key] = [chain]
                flow.asked[_submitted(self.model, request)] = (request, waiting)

    def _take_answered(self, flow: _Flow) -> None:
        for answered in [one for one in flow.asked if one.done()]:
            request, waiting = flow.asked.pop(answered)
            del flow.by_key[request.key]
            record = self._record(waiting[0].questions[0].item, request, _response(answered))
            flow.settled += [(chain, copy_for(chain.questions[0].item, record)) for chain in waiting]

    def _store_settled(self, flow: _Flow) -> list[_Chain]:
        """Store what is settled; returns what can be asked thereafter."""
        if not flow.settled:
            return []
        self._store([chain.first for chain, _ in flow.settled], {record.place: record for _, record in flow.settled})
        rest = [_Chain(chain.unit, chain.questions[1:]) for chain, _ in flow.settled if len(chain.questions) > 1]
        flow.settled.clear()
        return rest


def _submitted(model: Concurrent, request: Request) -> Future[Response]:
    failed: Future[Response] = Future()
    try:
        submitted: object = model.submit(request)
        if isinstance(submitted, Future):
            return submitted
        raise GenerationError(f"the model's submit gave {type(submitted).__name__}, expected a Future")
    except Exception as error:  # as if the answer had failed
        failed.set_exception(error)
        return failed


def _response(answered: Future[Response]) -> Response:
    try:
        return answered.result()
    except UsageError:
        raise
    except Exception as error:  # a mistake of the model class costs its item, as in a batch
        return Response(error=describe(error))
