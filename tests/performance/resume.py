"""A run of 1,000 text items that is killed half-way, and the same command again: what it computes twice, and costs."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from performance.startup import make_text_task
from performance.table import COMMAND, Row, cost_of

ITEMS, BATCH, KILLS = 1_000, 8, 5


def rows() -> Iterator[Row]:
    """Answers that were stored twice or lost, and what going on costs beside a whole run."""
    again, whole, twice = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        task = make_text_task(Path(folder), ITEMS)
        for number in range(KILLS):
            run = Path(folder) / f"killed{number}"
            command = [*COMMAND, "--model", "random", "--tasks", str(task), "--batch_size", str(BATCH)]
            _kill_half_way([*command, "--output_path", str(run)], run)
            kept = _stored(run)
            again.append(cost_of([*command, "--output_path", str(run)], Path(folder)).cpu_s)
            plain = Path(folder) / f"whole{number}"
            whole.append(cost_of([*command, "--output_path", str(plain)], Path(folder)).cpu_s)
            stored = _stored(run)
            if set(stored) < set(kept) or len(stored) != ITEMS:
                raise RuntimeError(f"{len(stored)} of {ITEMS} items are stored after the second run")
            if (run / "results.json").read_bytes() != (plain / "results.json").read_bytes():
                raise RuntimeError("the results of a run that was killed are others than those of a whole one")
            twice.append(sum(stored.values()) - ITEMS)
    taken = f"{KILLS} kills at about half of {ITEMS:,} items, results byte-equal"
    yield Row("answers stored twice after kill -9", max(twice), "items", BATCH, "batch in flight", taken, BATCH)
    costs = statistics.median(again), statistics.median(whole)
    yield Row("going on after kill -9", costs[0], "s CPU", costs[1], "the whole run", taken, 1.0, of_ratio=True)


def _kill_half_way(command: list[str], run: Path) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and sum(_stored(run).values()) < ITEMS // 2:
        time.sleep(0.002)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()


def _stored(run: Path) -> Counter[str]:
    """Whole lines by item."""
    lines = [line for path in run.glob("responses/*.jsonl") for line in path.read_bytes().split(b"\n")[:-1]]
    return Counter(json.loads(line)["item"] for line in lines)
