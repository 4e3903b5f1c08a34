"""Claims are exclusive among live workers and free once their worker is gone."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from avemo_harness.errors import StorageError
from avemo_harness.run.claims import Claims

HOLD = """
import sys, time
from pathlib import Path
from avemo_harness.run.claims import Claims
claims = Claims(Path(sys.argv[1]), "other")
for unit in sys.argv[2:]:
    assert claims.take(unit)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def claims(tmp_path: Path) -> Iterator[Claims]:
    made = Claims(tmp_path, "one")
    yield made
    made.close()


def hold_elsewhere(folder: Path, *units: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), *units], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_unit_is_claimed_once_until_it_is_released(claims: Claims, tmp_path: Path) -> None:
    other = Claims(tmp_path, "two")
    assert claims.take("unit")
    assert not other.take("unit")
    claims.release("unit")
    assert other.take("unit")
    other.close()


def test_a_live_process_keeps_its_units_and_a_killed_one_loses_them(claims: Claims, tmp_path: Path) -> None:
    holder = hold_elsewhere(tmp_path, "unit")
    assert not claims.take("unit")
    assert claims.live_workers() == {"one", "other"}
    holder.kill()
    holder.wait()
    assert claims.live_workers() == {"one"}
    assert claims.take("unit")


def test_a_worker_that_was_not_heard_of_for_a_lease_loses_its_units_and_knows_it(tmp_path: Path) -> None:
    silent, other = Claims(tmp_path, "silent", lease_s=1e6), Claims(tmp_path, "other", lease_s=60)
    assert silent.take("unit")
    long_ago = time.time() - 3600
    os.utime(tmp_path / "worker-silent", (long_ago, long_ago))
    assert other.take("unit")
    with silent.kept(["unit"]) as ours:
        assert ours == set()
    silent.release("unit")
    with other.kept(["unit"]) as ours:
        assert ours == {"unit"}
    silent.close()
    other.close()


def test_many_workers_that_take_over_a_dead_ones_units_get_each_unit_once(tmp_path: Path) -> None:
    units = [f"unit{i}" for i in range(60)]
    holder = hold_elsewhere(tmp_path, *units)
    holder.kill()
    holder.wait()
    workers = [Claims(tmp_path, f"worker{i}") for i in range(6)]

    def take_all(worker: Claims) -> list[str]:
        return [unit for unit in units if worker.take(unit)]

    with ThreadPoolExecutor(len(workers)) as pool:
        taken = [unit for share in pool.map(take_all, workers) for unit in share]
    assert sorted(taken) == sorted(units)
    for worker in workers:
        worker.close()


def test_a_worker_that_looks_at_a_dead_ones_claim_is_not_taken_for_its_owner(tmp_path: Path) -> None:
    holder = hold_elsewhere(tmp_path, "unit")
    holder.kill()
    holder.wait()
    claims = Claims(tmp_path, "one")
    with (tmp_path / "worker-other").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert claims.take("unit")
    claims.close()


def test_closing_leaves_no_claim_behind(tmp_path: Path) -> None:
    claims = Claims(tmp_path, "one")
    claims.take("unit")
    claims.close()
    assert [path.name for path in tmp_path.iterdir()] == ["gate"]


def refuse(*arguments: object, **options: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_claim_that_cannot_be_removed_is_named_and_free_for_others_once_its_worker_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, other = Claims(tmp_path, "refused"), Claims(tmp_path, "other")
    assert refused.take("unit")
    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", refuse)
        for give_back in (lambda: refused.release("unit"), refused.close):
            with pytest.raises(StorageError, match=f"{tmp_path}/.* cannot be removed .Input/output error"):
                give_back()
    assert other.live_workers() == {"other"}
    assert other.take("unit")
    other.close()


@pytest.mark.parametrize("call", ["link", "stat", "open"])
def test_a_folder_that_the_system_refuses_is_named(
    call: str, claims: Claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Claims(tmp_path, "two")
    assert other.take("held")
    ask = claims.release if call == "stat" else claims.take
    with monkeypatch.context() as broken:
        broken.setattr(os, call, refuse)
        with pytest.raises(StorageError, match=f"{tmp_path}/"):
            ask("held")
    other.close()


def test_a_worker_that_cannot_open_the_gate_leaves_no_lock(tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    with pytest.raises(StorageError, match="a folder is where a file should be"):
        Claims(tmp_path, "one")
    (tmp_path / "gate").rmdir()
    other = Claims(tmp_path, "two")
    assert other.live_workers() == {"two"}
    other.close()
