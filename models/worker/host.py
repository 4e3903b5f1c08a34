"""A model in a worker process, started when it is first needed and once more where it is lost with a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import GenerationError
from avemo_harness.models.worker.process import Worker, WorkerLostError

HOPELESS = 3
"""Batches lost one after the other, before any was answered, after which no worker is started for another."""

Told = TypeVar("Told")


class Host:
    """Asks a worker, and another one where that is lost.

    Args:
        start: gives a new worker.
    """

    def __init__(self, start: Callable[[], Worker]) -> None:
        self._start = start
        self._worker: Worker | None = None
        self._answered = False
        self._lost = 0

    def identity(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """What the model says it is, and the stand-ins that it runs with.

        Raises:
            ModelError: the worker cannot be started, or the model cannot be made in it.
            WorkerLostError: it was lost.
        """
        return self._asked(lambda worker: (worker.identity(), worker.stand_ins))

    def generate(self, requests: Sequence[Request]) -> list[Response]:
        """Answer a batch; if the worker is lost, another one is asked all of it.

        Raises:
            WorkerLostError: that one was lost too.
            AvemoError: the worker cannot be started again, or what the model raised.
        """
        if not self._answered and self._lost >= HOPELESS:
            raise GenerationError(
                f"the worker process was lost with each of {self._lost} batches and never answered; none is started "
                "for more of them in this run"
            )
        try:
            return self._generate(requests)
        except WorkerLostError:
            try:
                return self._generate(requests)
            except WorkerLostError:
                self._lost += 1
                raise

    def prefetch(self, request: Request) -> None:
        """Let the model make ready what a request will need, if it is running."""
        worker = self._worker
        if worker is not None:
            worker.prefetch(request)

    def close(self) -> None:
        """End the worker; it is started again when it is needed."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _generate(self, requests: Sequence[Request]) -> list[Response]:
        answers = self._asked(lambda worker: worker.generate(requests))
        self._answered = True
        return answers

    def _asked(self, ask: Callable[[Worker], Told]) -> Told:
        try:
            if self._worker is None:
                self._worker = self._start()
            return ask(self._worker)
        except WorkerLostError:
            self._worker = None
            raise
