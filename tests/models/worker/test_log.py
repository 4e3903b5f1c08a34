"""What workers write is kept, first in memory, then in the run's file, and errors quote its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import pytest

from avemo_harness.errors import StoreError
from avemo_harness.models.worker import process as log_module
from avemo_harness.models.worker.process import WorkerLog


def stream() -> tuple[IO[bytes], IO[bytes]]:
    """Two ends of a pipe: for the log, and for a worker."""
    theirs, ours = os.pipe()
    return os.fdopen(theirs, "rb"), os.fdopen(ours, "wb", buffering=0)


def said(log: WorkerLog, text: bytes) -> str:
    """The last words of a worker that wrote a text and ended."""
    end, worker = stream()
    log.follow(end)
    worker.write(text)
    worker.close()
    return log.last_words()


def test_errors_quote_the_last_lines_of_the_newest_worker() -> None:
    log = WorkerLog()
    assert log.last_words() == ""
    assert said(log, b"one\n\ntwo\nthree\nfour") == "; its last words: 'two / three / four'"
    assert said(log, b"") == ""
    assert said(log, "caf\u00e9 \u2603".encode("latin-1", "replace")) == "; its last words: 'caf\ufffd ?'"


def test_what_was_written_before_there_was_a_file_is_in_it(tmp_path: Path) -> None:
    log, path = WorkerLog(), tmp_path / "run" / "logs" / "w.log"
    said(log, b"early\n")
    log.keep_in(path)
    assert said(log, b"late\n") == f"; its last words: 'late' (in {path})"
    assert path.read_bytes() == b"early\nlate\n"


def test_a_flood_before_there_is_a_file_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MOST_PENDING", 100)
    log = WorkerLog()
    said(log, b"".join(b"line %02d\n" % number for number in range(50)))
    log.keep_in(tmp_path / "log")
    kept = (tmp_path / "log").read_bytes()
    assert len(kept) <= 100
    assert kept.endswith(b"line 48\nline 49\n")


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        WorkerLog().keep_in(tmp_path / "logs" / "w.log")


def test_what_can_no_longer_be_kept_is_told(tmp_path: Path) -> None:
    log, path = WorkerLog(), tmp_path / "w.log"
    log.keep_in(path)
    path.unlink()
    path.mkdir()
    assert said(log, b"late\n") == (
        f"; its last words: 'late' (in {path}); what it wrote could not be kept (Is a directory)"
    )
