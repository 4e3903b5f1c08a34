"""Bounded folders of files."""

from __future__ import annotations

import os
from pathlib import Path

from avemo_harness.files import prune_files


def test_files_used_longest_ago_go_until_the_rest_fits(tmp_path: Path) -> None:
    for age in range(5):
        path = tmp_path / f"{age}"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 + age, 1000 + age))
    assert prune_files(tmp_path.iterdir(), 250) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4"]
    assert prune_files(tmp_path.iterdir(), 250) == 0


def test_a_file_that_is_gone_meanwhile_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"x" * 100)
    assert prune_files([tmp_path / "gone", tmp_path / "here"], 10) == 1


def test_what_cannot_be_deleted_stays_and_keeps_nothing_else_from_going(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.utime(tmp_path / "folder", (1000, 1000))
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert prune_files(tmp_path.iterdir(), 0) == 1
    assert (tmp_path / "folder").exists()
