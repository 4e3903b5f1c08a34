"""Making the units of a stage side by side: in processes where they compute, in threads where a tool does the work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from avemo_harness.build.pipeline.units import UnitKey, UnitStore
from avemo_harness.errors import StoreError, UsageError, describe
from avemo_harness.worker_pool import worker_pool

LINE_S = 10.0
"""Seconds between two lines of progress."""

Say = Callable[[str], object]
Files = dict[str, bytes]
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A unit to be made.

    Args:
        unit: for messages.
        make: gives its files and what is to be recorded of it; may run in another process.
        arguments: for `make`.
    """

    key: UnitKey
    unit: str
    make: Callable[..., tuple[Files, Facts]]
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """How units are made.

    Args:
        executor: how many at a time, and where; None for one after the other in this thread.
        retry: also those that failed before.
        hide: takes out of an error what must not be kept of it.
    """

    executor: Executor | None
    retry: bool
    say: Say
    hide: Callable[[str], str]


@contextmanager
def processes(count: int) -> Iterator[Executor | None]:
    """Processes that compute; None for one, which needs none."""
    if count == 1:
        yield None
        return
    with worker_pool(count) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def threads(count: int) -> Iterator[Executor | None]:
    """Threads that wait for tools. At the end of the block nothing more is begun, and what runs is ended."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="build")
    try:
        yield pool
    finally:
        from avemo_harness.build.pipeline.tool_process import no_tools

        pool.shutdown(wait=False, cancel_futures=True)
        with no_tools():
            pool.shutdown()


def make_units(stage: str, jobs: Sequence[Job], store: UnitStore, work: Work) -> None:
    """Make what is missing of a stage; units that cannot be made are recorded, whatever the error is.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
        UsageError: no unit could be made like this.
    """
    waiting = [job for job in dict.fromkeys(jobs) if not store.has(job.key)]
    failed_before = {job.key for job in waiting if store.failure(job.key) is not None}
    if not work.retry:
        waiting = [job for job in waiting if job.key not in failed_before]
    there = len(set(jobs)) - len(waiting) - (0 if work.retry else len(failed_before))
    counter = _Counter(stage, len(waiting), there, work.say)
    if work.executor is None:
        for job in waiting:
            counter.count(_settle(job, store, work, partial(job.make, *job.arguments)))
    else:
        _side_by_side(waiting, store, work, work.executor, counter)
    counter.end()


def _side_by_side(jobs: Sequence[Job], store: UnitStore, work: Work, executor: Executor, counter: _Counter) -> None:
    # Few are handed over at a time, since each carries its inputs.
    rest, running = iter(jobs), dict[Future[tuple[Files, Facts]], Job]()
    more = True
    while more or running:
        while more and len(running) < 64:
            job = next(rest, None)
            if job is None:
                more = False
            else:
                running[executor.submit(job.make, *job.arguments)] = job
        done, _ = wait(running, return_when=FIRST_COMPLETED) if running else (set[Future[Any]](), None)
        for future in done:
            counter.count(_settle(running.pop(future), store, work, future.result))


def _settle(job: Job, store: UnitStore, work: Work, result: Callable[[], tuple[Files, Facts]]) -> bool:
    """Keep a unit, or record why there is none; returns whether there is."""
    try:
        files, facts = result()
    except (StoreError, UsageError, BrokenExecutor):
        raise
    except Exception as error:  # what a tool gives may be odd in ways that nobody thought of
        store.fail(job.key, job.unit, work.hide(describe(error)))
        return False
    store.put(job.key, files, {"unit": job.unit, **facts})
    return True


class _Counter:
    """Tells how far a stage is."""

    def __init__(self, stage: str, total: int, there: int, say: Say) -> None:
        self._stage, self._total, self._there, self._say = stage, total, there, say
        self._done = self._failed = 0
        self._begun = self._told = time.monotonic()

    def count(self, made: bool) -> None:
        """One more is settled."""
        self._done += 1
        self._failed += not made
        if time.monotonic() - self._told >= LINE_S:
            self._told = time.monotonic()
            self._say(self._line())

    def end(self) -> None:
        """All are settled."""
        self._say(self._line())

    def _line(self) -> str:
        rate = self._done / max(time.monotonic() - self._begun, 1e-3)
        speed = f", {rate:.1f} a second" if self._done else ""
        failed = f", {self._failed} failed" if self._failed else ""
        kept = f" ({self._there} were there)" if self._there else ""
        return f"{self._stage}: {self._done} of {self._total} made{kept}{speed}{failed}"
