"""What worker processes write to their standard output and error."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import IO

from avemo_harness.errors import StoreError

LAST_LINES = 3
"""How many of the last lines an error quotes."""
MOST_PENDING = 2**20
"""Bytes that are kept while there is no file for them."""
LONGEST_LINE = 2**16
PATIENCE_S = 1.0
"""For the end of what a process wrote that has just ended."""


class WorkerLog:
    """Takes what one worker after the other writes: into memory at first, and into a file as soon as one is named."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: deque[bytes] = deque()
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._path: Path | None = None
        self._lost = ""
        self._reading: threading.Thread | None = None

    def follow(self, stream: IO[bytes]) -> None:
        """Take all that a new worker writes, from a thread, until the stream ends."""
        self._last = last = deque[str](maxlen=LAST_LINES)
        self._reading = threading.Thread(target=self._read, args=(stream, last), name="worker's output", daemon=True)
        self._reading.start()

    def keep_in(self, path: Path) -> None:
        """Keep what was written so far, and everything from now on, in a file; it is appended to.

        Raises:
            StoreError: it cannot be written.
        """
        with self._lock:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "ab") as file:
                    file.writelines(self._pending)
            except OSError as error:
                raise StoreError(f"{path}: cannot be written ({error.strerror}); make room") from error
            self._pending.clear()
            self._path = path

    def last_words(self) -> str:
        """What the newest worker wrote last, for the end of an error's message; empty where it wrote nothing."""
        if self._reading is not None:
            self._reading.join(PATIENCE_S)
        with self._lock:
            where = f" (in {self._path})" if self._path else ""
            words = f"; its last words: {' / '.join(self._last)!r}{where}" if self._last else ""
            return words + self._lost

    def _read(self, stream: IO[bytes], last: deque[str]) -> None:
        with stream:
            while line := stream.readline(LONGEST_LINE):
                with self._lock:
                    self._keep(line)
                    if text := line.decode("utf-8", "replace").strip():
                        last.append(text)

    def _keep(self, line: bytes) -> None:
        if self._path is None:
            self._pending.append(line)
            while sum(map(len, self._pending)) > MOST_PENDING:
                self._pending.popleft()
            return
        try:
            with open(self._path, "ab") as file:
                file.write(line)
        except OSError as error:
            self._lost = f"; what it wrote could not be kept ({error.strerror})"
