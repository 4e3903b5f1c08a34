"""Processes that compute for another end with it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from support.processes import is_alive
from support.waiting import ASLEEP_S, wait_until

from avemo_harness.torch_setup import worker_pool

PARENT = """
import os, time
from avemo_harness.torch_setup import worker_pool

if __name__ == "__main__":
    with worker_pool(2) as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(4)}, flush=True)
        pool.submit(time.sleep, ASLEEP_S).result()
"""


def test_workers_compute() -> None:
    with worker_pool(2) as pool:
        assert list(pool.map(abs, [-1, 2, -3])) == [1, 2, 3]


def test_workers_end_when_their_parent_is_killed_also_in_the_middle_of_something(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(PARENT.replace("ASLEEP_S", str(ASLEEP_S)))
    parent = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    workers = [int(number) for number in parent.stdout.readline().split()]
    assert workers
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not any(map(is_alive, workers)), "workers end with their parent")
