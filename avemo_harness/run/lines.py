"""Files of JSON lines that survive a kill at any moment: a line is durable once `append` returns, or torn and known."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import jsonlines

from avemo_harness.errors import StoreError


class LineWriter:
    """Appends to one file, which is made when there is something to append. One writer a file at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: IO[str] | None = None

    def append(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Append rows and return, once they are durable, how many they were.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
        """
        count = 0
        try:
            handle = self._opened()
            writer = jsonlines.Writer(handle, compact=True, sort_keys=True)
            for row in rows:
                writer.write(row)
                count += 1
            handle.flush()
            os.fsync(handle.fileno())
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written ({error.strerror})") from error
        return count

    def close(self) -> None:
        if self._handle is not None:
            self._handle.close()

    def _opened(self) -> IO[str]:
        if self._handle is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = open(self.path, "a", encoding="utf-8")  # noqa: SIM115  (closed by `close`)
        return self._handle


def json_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """The text of a .jsonl file."""
    text = io.StringIO()
    jsonlines.Writer(text, compact=True, sort_keys=True).write_all(rows)
    return text.getvalue()


def complete_lines(path: Path, start: int = 0) -> tuple[list[bytes], int]:
    """The lines after byte `start` that end in a newline, and the byte after the last of them.

    A line without its newline is one that is being written, or was when its writer was killed: it is left alone.
    """
    with open(path, "rb") as handle:
        handle.seek(start)
        data = handle.read()
    complete = data[: data.rfind(b"\n") + 1]
    return complete.splitlines(), start + len(complete)
