"""JSON and JSON Lines of a run directory that carry digests of their content, and `timing.json`."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import jsonlines

from avemo_harness.errors import StorageError, StoreError, storage_errors
from avemo_harness.files import exclusive_lock, read_json, read_whole, write_atomically
from avemo_harness.phases import PhaseClock, PhaseSeconds, device_is_used
from avemo_harness.text import Notify

SEAL = "content_sha256"
"""The key of the digest, at the top of the file."""


def sealed_json(content: Mapping[str, Any]) -> str:
    """The text of a file that holds a JSON object and its digest: keys in a fixed order, equal for equal content."""
    sealed = {**content, SEAL: content_digest(content)}
    return json.dumps(sealed, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_sealed_json(path: Path) -> dict[str, Any]:
    """The object of a file, whose digest is held against it; a file of an older version has none.

    Raises:
        StorageError: the file is missing or cannot be read.
        ValueError: it is no JSON object, or not the one that was written.
    """
    with storage_errors(path, "read"):
        content = read_json(path, dict)
    stated = content.pop(SEAL, None)
    if stated is not None and stated != content_digest(content):
        raise ValueError("its digest does not fit: it was changed after it was written")
    return content


def content_digest(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a JSON object, whatever the order of its keys and the spelling of its characters."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class LineWriter:
    """Appends to one file, which is made when there is something to append. One writer a file at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: BinaryIO | None = None

    def append(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Append rows; returns, once they are durable, their number.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        lines = [checked_lines([row]) for row in rows]
        if lines:
            with storage_errors(self.path, "written"):
                handle = self._opened()
                left = memoryview("".join(lines).encode())
                while left:
                    left = left[handle.write(left) :]
                os.fsync(handle.fileno())
        return len(lines)

    def close(self) -> None:
        if self._handle is not None:
            with storage_errors(self.path, "written"):
                self._handle.close()

    def _opened(self) -> BinaryIO:
        if self._handle is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Without a buffer: what could not be written is not written once more when the file is closed.
            self._handle = open(self.path, "ab", buffering=0)  # noqa: SIM115  (closed by `close`)
        return self._handle


CHECKSUM = "sum"
"""The key of a line's checksum, which no row has."""


def parse_line(line: bytes) -> dict[str, Any]:
    """The row of a line, whose checksum is held against it; a line of a run made before they had some has none.

    Raises:
        ValueError: it is no JSON object, or not the one that was written.
    """
    row = _decoded(line)
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {type(row).__name__}")
    stated = row.pop(CHECKSUM, None)
    if stated is not None and not _is_as_written(line, stated) and stated != _checksum(row):
        raise ValueError("its checksum does not fit: it was changed after it was written")
    return row


_decode = json.JSONDecoder().raw_decode


def _decoded(line: bytes) -> Any:
    """The value of a line; of one that is a value and nothing else, without what `json.loads` does beside."""
    with suppress(ValueError):
        text = line.decode()
        value, end = _decode(text)
        if end == len(text):
            return value
    return json.loads(line)


def _is_as_written(line: bytes, stated: Any) -> bool:
    """Tell by its bytes alone that a line is the one that was written; False where its row has to tell.

    A written line of plain ASCII is the text that its checksum is of, with the checksum in it.
    """
    if not isinstance(stated, str):
        return False
    before, member, behind = line.partition(_member(stated).encode())
    return bool(member) and hashlib.sha256(before + behind).hexdigest()[:_CHECKSUM_DIGITS] == stated


def _checksum(row: Mapping[str, Any]) -> str:
    return content_digest(row)[:_CHECKSUM_DIGITS]


_CHECKSUM_DIGITS = 16
_UNKNOWN = "?" * _CHECKSUM_DIGITS


def _member(checksum: str) -> str:
    """The member of a line that holds its checksum; it stands behind others, since keys are sorted."""
    return f',"{CHECKSUM}":"{checksum}"'


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def _checked_line(row: Mapping[str, Any]) -> str:
    """The text of a row with its checksum, which is encoded once where text and checksum are of the same characters."""
    text = _encode({**row, CHECKSUM: _UNKNOWN})
    before, member, behind = text.partition(_member(_UNKNOWN))
    if member and _member(_UNKNOWN) not in behind and text.isascii() and "\x7f" not in text:
        checksum = hashlib.sha256((before + behind).encode()).hexdigest()[:_CHECKSUM_DIGITS]
        return f"{before}{_member(checksum)}{behind}"
    return _encode({**row, CHECKSUM: _checksum(row)})


def json_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """The text of a .jsonl file without checksums."""
    text = io.StringIO()
    jsonlines.Writer(text, compact=True, sort_keys=True).write_all(rows)
    return text.getvalue()


def checked_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """The text of a .jsonl file whose lines carry checksums."""
    text = io.StringIO()
    jsonlines.Writer(text, dumps=_checked_line).write_all(rows)
    return text.getvalue()


def complete_lines(path: Path, start: int = 0) -> tuple[list[bytes], int]:
    """The lines after byte `start` that end in a newline, and the byte after the last of them.

    A line without its newline is one that is being written, or was when its writer was killed: it is left alone.

    Raises:
        StorageError: the file is missing or cannot be read.
    """
    with storage_errors(path, "read"):
        if path.stat().st_size <= start:
            return [], start
        with open(path, "rb") as handle:
            handle.seek(start)
            data = handle.read()
    complete = data[: data.rfind(b"\n") + 1]
    return complete.splitlines(), start + len(complete)


def cut_after(path: Path, end: int) -> bool:
    """Cut off what a killed writer left after byte `end`; False where that is nothing.

    Raises:
        StorageError: the file cannot be written.
    """
    with storage_errors(path, "written"):
        longer = path.stat().st_size > end
        if longer:
            os.truncate(path, end)
    return longer


_LATEST_S = 1e11
"""Some thousand years from now."""


def appending_writer(path: Path) -> LineWriter:
    """Appends lines to a file that one process writes at a time; a line that a kill left half written is cut off."""
    if path.exists():
        cut_after(path, complete_lines(path)[1])
    return LineWriter(path)


def take_rows(path: Path, folder: Path, take: Callable[[Mapping[str, Any]], None], advice: str) -> list[str]:
    """Hand every whole line of a file to a function; there are none where the file is missing.

    Args:
        folder: which the sentences name the file within.
        take: a ValueError, TypeError or KeyError of it says that the line is damaged.
        advice: what makes up for a damaged line.

    Returns:
        A sentence for each damaged line.
    """
    damage = []
    for number, line in enumerate(complete_lines(path)[0] if path.exists() else [], 1):
        try:
            take(parse_line(line))
        except (ValueError, TypeError, KeyError) as error:
            damage.append(f"{path.relative_to(folder)}, line {number}: damaged ({error}); {advice}")
    return damage


Stage = Literal["asking", "judging"]


@dataclass(frozen=True, slots=True)
class WorkerTiming:
    """One worker's time in a run, of one call of the command.

    Args:
        started: seconds since 1970, in UTC.
        seconds: until its last answer was stored.
        records: answers and errors that it stored, or replies that it judged.
        phases: by name; none in a run that was made before they were counted.
        approximate: a GPU was not waited for as phases ended, so that its time counts where a result was first needed.
        stage: what it worked on.
    """

    worker: str
    started: float
    seconds: float
    records: int
    phases: Mapping[str, PhaseSeconds] = field(default_factory=dict)
    approximate: bool = False
    stage: Stage = "asking"

    @classmethod
    def of(cls, worker: str, started: float, records: int, clock: PhaseClock, stage: Stage = "asking") -> WorkerTiming:
        """The time from `started` until now, with what a clock counted of it; called by the thread that it counts."""
        return cls(
            worker,
            round(started, 3),
            round(time.time() - started, 3),
            records,
            {name: PhaseSeconds(round(s.asking, 4), round(s.beside, 4)) for name, s in clock.take().items()},
            approximate=device_is_used() and not clock.wait_for_device,
            stage=stage,
        )


def read_timing(folder: Path) -> list[WorkerTiming]:
    """Read a run's `timing.json`; nothing where there is none.

    Raises:
        StorageError: it cannot be read.
        StoreError: it is damaged.
    """
    path = folder / "timing.json"
    if not path.exists():
        return []
    try:
        timings = [_timing(entry) for entry in json.loads(read_whole(path))]
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"{path}: damaged ({error}); remove it, only times are lost") from error
    return timings


def _timing(entry: Mapping[str, Any]) -> WorkerTiming:
    phases = {name: PhaseSeconds(**seconds) for name, seconds in entry.get("phases", {}).items()}
    timing = WorkerTiming(**{**entry, "phases": phases})
    if not 0 <= timing.started <= timing.started + timing.seconds < _LATEST_S:
        raise ValueError(f"{timing.started!r} s and {timing.seconds!r} s later are no times of a run")
    if isinstance(timing.records, bool) or not isinstance(timing.records, int) or timing.records < 0:
        raise ValueError(f"{timing.records!r} is no number of records")
    for name, seconds in phases.items():
        if not all(0 <= value < _LATEST_S for value in (seconds.asking, seconds.beside)):
            raise ValueError(f"{seconds.asking!r} s and {seconds.beside!r} s are no times of the phase {name!r}")
    return timing


def write_timing(folder: Path, timings: Sequence[WorkerTiming]) -> None:
    """Write a run's `timing.json` anew.

    Raises:
        StorageError: it cannot be written.
    """
    write_atomically(folder / "timing.json", json.dumps([asdict(timing) for timing in timings], indent=1) + "\n")


def add_timing(folder: Path, timing: WorkerTiming, say: Notify) -> None:
    """Add a worker's time to those of a run; any number of workers may. A damaged `timing.json` is begun anew.

    Raises:
        StorageError: it cannot be read or written.
    """
    with exclusive_lock(folder / "claims" / ".timing", before_waiting=lambda: None):
        before = none_if_damaged(lambda: read_timing(folder))
        if before is None:
            say(f"{folder / 'timing.json'}: was damaged and is begun anew; only times are lost")
        write_timing(folder, [*(before or ()), timing])


Value = TypeVar("Value")


def none_if_damaged(read: Callable[[], Value]) -> Value | None:
    """The value that a file of the run holds; None where the file is damaged.

    Raises:
        StorageError: it cannot be read, so nothing is known of its content.
    """
    try:
        return read()
    except StorageError:
        raise
    except StoreError:
        return None
