"""Of several processes that need the same thing one makes it, and a killed one holds nobody up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.waiting import ASLEEP_S, PATIENCE_S, wait_until

from avemo_harness.errors import StoreError
from avemo_harness.files import exclusive_lock

HOLD = f"""
import sys, time
from pathlib import Path
from avemo_harness.files import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), lambda: None):
    Path(sys.argv[2]).touch()
    time.sleep({ASLEEP_S})
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "thing"


def test_a_free_lock_is_taken_at_once_again_and_again(lock: Path) -> None:
    waited: list[str] = []
    for _ in range(2):
        with exclusive_lock(lock, lambda: waited.append("waited")):
            pass
    assert waited == []


def test_a_process_waits_for_the_one_inside_and_comes_in_when_that_is_killed(lock: Path, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock), str(inside)]) as other:
        wait_until(inside.exists, "the other process holds the lock")
        with exclusive_lock(lock, other.kill):
            assert other.wait(timeout=PATIENCE_S) != 0


def test_an_error_inside_lets_the_next_one_in(lock: Path) -> None:
    with pytest.raises(ValueError, match="inside"), exclusive_lock(lock, lambda: None):
        raise ValueError("inside")
    with exclusive_lock(lock, lambda: pytest.fail("the lock is still held")):
        pass


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"), exclusive_lock(tmp_path / "file" / "lock", lambda: None):
        pass
