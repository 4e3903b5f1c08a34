"""When workers asked: `timing.json` of a run, which no result depends on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from avemo_harness.errors import StoreError
from avemo_harness.paths import read_whole, write_atomically

_LATEST_S = 1e11
"""Some thousand years from now."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One worker's time in a run.

    Args:
        started: seconds since 1970, in UTC.
        seconds: until its last answer was stored.
        records: answers and errors that it stored.
    """

    worker: str
    started: float
    seconds: float
    records: int


def read_timing(folder: Path) -> list[Shift]:
    """Read a run's `timing.json`; nothing where there is none.

    Raises:
        StorageError: it cannot be read.
        StoreError: it is damaged.
    """
    path = _path(folder)
    if not path.exists():
        return []
    try:
        return [_shift(**entry) for entry in json.loads(read_whole(path))]
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path}: damaged ({error}); remove it, only times are lost") from error


def write_timing(folder: Path, shifts: Sequence[Shift]) -> None:
    """Write a run's `timing.json` anew.

    Raises:
        StorageError: it cannot be written.
    """
    write_atomically(_path(folder), json.dumps([asdict(shift) for shift in shifts], indent=1) + "\n")


def _shift(worker: str, started: float, seconds: float, records: int) -> Shift:
    if not 0 <= started <= started + seconds < _LATEST_S:
        raise ValueError(f"{started!r} s and {seconds!r} s later are no times of a run")
    return Shift(worker, started, seconds, records)


def _path(folder: Path) -> Path:
    return folder / "timing.json"
