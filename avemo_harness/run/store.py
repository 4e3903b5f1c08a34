"""The run directory: append-only segments of responses, one for each worker, and the speech they name.

Nothing is ever rewritten. A line is durable before the next batch is asked; a kill costs the batch in flight.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from avemo_harness import media
from avemo_harness.benchmark.request import Item, Response, Speech
from avemo_harness.errors import StoreError
from avemo_harness.run.items import read_items
from avemo_harness.run.lines import LineWriter, complete_lines
from avemo_harness.scorers.base import Answer
from avemo_harness.scorers.judged import Judged
from avemo_harness.text import storable

LOGPROB_DECIMALS = 4
"""Log-probabilities are stored rounded, so that results do not depend on the order of floating-point sums."""


@dataclass(frozen=True, slots=True)
class Record:
    """One finished request of one item, as a line of a segment.

    Args:
        label_tokens, label_priors: with `label_logprobs`, what every way of ranking is computed from.
        speech: path of the spoken answer inside the run directory.
        error: why there is no answer; a record has an answer or an error.
        flags: what is odd about the answer.
    """

    task: str
    item: str
    key: str | None = None
    text: str | None = None
    label_logprobs: dict[str, float] | None = None
    speech: str | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    error: str | None = None
    label_tokens: dict[str, int] | None = None
    label_priors: dict[str, float] | None = None
    flags: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str]:
        return (self.task, self.item)

    @classmethod
    def of(cls, item: Item, key: str | None, response: Response, speech: str | None = None) -> Record:
        """Make the record of an item's response."""
        return cls(
            task=item.task,
            item=item.item_id,
            key=key,
            text=response.text and storable(response.text),
            label_logprobs=_rounded(response.label_logprobs),
            speech=speech,
            prompt_tokens=response.prompt_tokens,
            new_tokens=response.new_tokens,
            error=response.error and storable(response.error),
            label_tokens=None if response.label_tokens is None else dict(response.label_tokens),
            label_priors=_rounded(response.label_priors),
            flags=tuple(response.flags),
        )

    def answer(self, item: Item, judged: Judged | None = None) -> Answer:
        """What scorers see of the record of an item, with what a recogniser says of it."""
        return Answer(
            item,
            text=self.text,
            label_logprobs=self.label_logprobs,
            label_tokens=self.label_tokens,
            label_priors=self.label_priors,
            speech=self.speech,
            flags=self.flags,
            error=self.error,
            judged=judged,
        )

    def line(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None and value != ()}


def _rounded(logprobs: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if logprobs is None else {label: round(float(x), LOGPROB_DECIMALS) for label, x in logprobs.items()}


_FIELDS = {field.name for field in fields(Record)}


class RunStore:
    """The responses of a run. Reading never writes; `Segment` writes.

    Args:
        folder: the run directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: dict[tuple[str, str], Record] = {}
        self.errors: dict[tuple[str, str], Record] = {}
        self.by_key: dict[str, Record] = {}
        self._read_up_to: dict[Path, int] = {}

    def refresh(self) -> list[Record]:
        """Read what was appended since the last call, by any worker.

        Raises:
            StoreError: a complete line is not a record.
        """
        new: list[Record] = []
        for segment in sorted(self.folder.glob("responses/*.jsonl")):
            start = self._read_up_to.get(segment, 0)
            if segment.stat().st_size <= start:
                continue
            lines, self._read_up_to[segment] = complete_lines(segment, start)
            new += [_parse(line, segment, start) for line in lines]
        for record in new:
            self._remember(record)
        return new

    def _remember(self, record: Record) -> None:
        if record.error is not None:
            if record.place not in self.answers:
                self.errors[record.place] = record
            return
        self.answers.setdefault(record.place, record)
        self.errors.pop(record.place, None)
        if record.key is not None:
            self.by_key.setdefault(record.key, record)

    def torn_lines(self) -> dict[Path, int]:
        """Segments that end in the middle of a line, with the number of bytes after the last newline."""
        return {
            segment: rest for segment, end in self._read_up_to.items() if (rest := segment.stat().st_size - end) > 0
        }

    def read_items(self, task: str) -> list[Item]:
        """What the run asks of a task; see `avemo_harness.run.items`."""
        return read_items(self.folder, task)


def _parse(line: bytes, segment: Path, start: int) -> Record:
    try:
        values = {key: value for key, value in json.loads(line).items() if key in _FIELDS}
        return Record(**{**values, "flags": tuple(values.get("flags", ()))})
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{segment}: a line after byte {start} is damaged ({error}); remove that line, and the item is asked again"
        ) from error


class Segment:
    """The one file that a worker appends its responses to.

    Attributes:
        written: records appended so far.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self.folder = folder
        self.path = folder / "responses" / f"{worker}.jsonl"
        self.written = 0
        self._lines = LineWriter(self.path)

    def append(self, records: Iterable[Record]) -> None:
        """Append records and return once they are durable.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
        """
        self.written += self._lines.append(record.line() for record in records)

    def write_speech(self, key: str, speech: Speech) -> str:
        """Store a spoken answer, whole and durable before it gets its name; returns its path inside the run."""
        name = f"speech/{key}.flac"
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        partly = path.with_name(f".{key}.{secrets.token_hex(4)}.part.flac")
        media.write_flac(partly, speech.samples, speech.rate_hz)
        with open(partly, "rb") as handle:
            os.fsync(handle.fileno())
        partly.replace(path)
        return name

    def close(self) -> None:
        self._lines.close()


def cut_torn_lines(store: RunStore, live_workers: set[str]) -> int:
    """Cut the torn last line off segments whose workers are gone; returns how many were cut."""
    torn = {path: rest for path, rest in store.torn_lines().items() if path.stem not in live_workers}
    for path, rest in torn.items():
        os.truncate(path, path.stat().st_size - rest)
    return len(torn)
