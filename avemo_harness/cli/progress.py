"""One line that says how far a run is; plain lines now and then where the output is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.scorers.answers import read_answer

if TYPE_CHECKING:
    from tqdm import tqdm

    from avemo_harness.evaluation import PreparedRun
    from avemo_harness.run.store import Record

PLAIN_LINE_EVERY_S = 10.0


class Progress:
    """Counts what is stored, and how many of the labelled answers were right so far."""

    def __init__(self, run: PreparedRun, bar: tqdm[None] | None) -> None:
        self._run, self._bar = run, bar
        self._done: set[tuple[str, str]] = set()
        self._errors: set[tuple[str, str]] = set()
        self._right = self._labelled = 0
        self._started = self._said = time.monotonic()

    def stored(self, records: Sequence[Record]) -> None:
        """Count new records and show the line."""
        for record in records:
            self._count(record)
        if self._bar is not None:
            self._bar.n = len(self._done)
            self._bar.set_postfix_str(self._state(), refresh=False)
            self._bar.update(0)
        elif time.monotonic() - self._said > PLAIN_LINE_EVERY_S:
            self._said = time.monotonic()
            rate = len(self._done) / max(self._said - self._started, 1e-9)
            print(f"{len(self._done)}/{self._run.n_items} items, {rate:.1f}/s, {self._state()}", file=sys.stderr)

    def waiting(self, units: int) -> None:
        """Say that other workers are asking what is left."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self._state()}, {units} with other workers")

    def _count(self, record: Record) -> None:
        self._done.add(record.place)
        if record.error is not None:
            self._errors.add(record.place)
            return
        self._errors.discard(record.place)
        question = self._run.question(record.place)
        output = question.asking.task.output
        if isinstance(output, LabelOutput) and question.item.gold is not None:
            parsed = read_answer(record.answer(question.item), output)
            self._labelled += 1
            self._right += parsed.label == question.item.gold

    def _state(self) -> str:
        score = f"accuracy so far {self._right / self._labelled:.2f}, " if self._labelled else ""
        return f"{score}{len(self._errors)} errors"


@contextmanager
def make_progress(run: PreparedRun) -> Iterator[Progress]:
    """Show the progress of a run on standard error."""
    if not sys.stderr.isatty():
        yield Progress(run, None)
        return
    from tqdm import tqdm

    with tqdm(total=run.n_items, unit="item", desc=run.folder.name[:40], dynamic_ncols=True) as bar:
        yield Progress(run, bar)
