"""Lines are durable or torn and known, and nothing is written behind the back of who was told that it was not."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from avemo_harness.errors import StorageError
from avemo_harness.run.json_files import LineWriter, complete_lines, cut_after, parse_line

ROWS = [{"item": f"d{number}", "text": "x" * 40} for number in range(4)]


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Let the system refuse what goes beyond a size, as a full disk does."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def rows_of(path: Path) -> list[dict[str, object]]:
    return [parse_line(line) for line in complete_lines(path)[0]]


@pytest.mark.parametrize("fits", [0, 1, 20, 100, 150])
def test_what_was_refused_is_not_written_later(fits: int, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    writer = LineWriter(path)
    assert writer.append(ROWS[:1]) == 1
    before = path.stat().st_size
    with (
        files_no_longer_than(before + fits),
        pytest.raises(StorageError, match=r"lines\.jsonl: cannot be written .* allow larger files"),
    ):
        writer.append(ROWS[1:])
    writer.close()
    assert path.stat().st_size == before + fits
    whole = rows_of(path)
    assert whole == ROWS[: len(whole)]
    cut_after(path, complete_lines(path)[1])
    assert rows_of(path) == whole
    assert path.read_bytes().endswith(b"}\n")


def test_a_torn_line_is_cut_off_and_whole_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    writer = LineWriter(path)
    writer.append(ROWS)
    writer.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"item":')
    assert cut_after(path, complete_lines(path)[1])
    assert path.read_bytes() == whole
    assert not cut_after(path, complete_lines(path)[1])


def test_nothing_to_append_makes_no_file(tmp_path: Path) -> None:
    writer = LineWriter(tmp_path / "lines.jsonl")
    assert writer.append([]) == 0
    writer.close()
    assert not writer.path.exists()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"{tmp_path}: cannot be read .*a folder is where a file should be"):
        complete_lines(tmp_path)
