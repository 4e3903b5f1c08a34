"""Rows of the table of performance, and the two ways in which they are taken: whole processes, and calls in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

RUNS = 5
COMMAND = (sys.executable, "-m", "avemo_harness")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """A figure beside a peer's, or beside a bound, of the same run.

    Args:
        ours, other: in `unit`; there may be nothing to hold it against.
        against: the peer or bound.
        aim: largest figure that is wished for, in `unit`; of the ratio where `of_ratio` is set.
        taken: the way of measuring.
    """

    name: str
    ours: float
    unit: str
    other: float | None
    against: str
    taken: str
    aim: float | None = None
    of_ratio: bool = False

    @property
    def ratio(self) -> float | None:
        return self.ours / self.other if self.other else None

    @property
    def is_missed(self) -> bool:
        found = self.ratio if self.of_ratio else self.ours
        return self.aim is not None and found is not None and found > self.aim

    def cells(self) -> list[str]:
        other = "—" if self.other is None else _number(self.other)
        ratio = "—" if self.ratio is None else _number(self.ratio)
        aim = "—" if self.aim is None else f"≤ {self.aim:g}{' x' if self.of_ratio else ''}"
        missed = " MISSED" if self.is_missed else ""
        return [self.name, f"{_number(self.ours)} {self.unit}", other, ratio, aim + missed, self.against, self.taken]


HEADER = ["", "ours", "other", "ratio", "aim", "against", "taken"]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class Cost:
    """Of a whole process: seconds on the clock and of the processor, with its children's, and peak memory in MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float


BETWEEN = """
import os, sys, time
started = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0)
seconds = time.perf_counter() - started
with open(sys.argv[1], "w") as file:
    file.write(f"{seconds} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss / 1024}")
sys.exit(1 if status else 0)
"""
"""A process's peak memory counts from what its parent had, so a small one stands between."""


def cost_of(command: Sequence[str], folder: Path) -> Cost:
    """Run a command to its end (RuntimeError: it fails)."""
    with tempfile.NamedTemporaryFile("r") as told:
        between = [sys.executable, "-S", "-E", "-c", BETWEEN, told.name, *command]
        process = subprocess.run(between, cwd=folder, capture_output=True, text=True, check=False)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {process.stderr[-600:]}")
        return Cost(*map(float, told.read().split()))


def median_costs(commands: Sequence[Sequence[str]], runs: int = RUNS) -> list[Cost]:
    """Median costs of commands that are run in turn, each time in an empty folder, after a run that is not counted."""
    costs: list[list[Cost]] = [[] for _ in commands]
    for _ in range(runs + 1):
        for command, taken in zip(commands, costs, strict=True):
            with tempfile.TemporaryDirectory() as folder:
                taken.append(cost_of(command, Path(folder)))
    names = ("wall_s", "cpu_s", "peak_mib")
    return [Cost(*(statistics.median(getattr(cost, name) for cost in taken[1:]) for name in names)) for taken in costs]


def median_cpu_s(*calls: Callable[[], object], runs: int = RUNS) -> list[float]:
    """Median seconds of the processor, all threads, of calls that are made in turn, after one that is not counted."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(runs + 1):
        for call, taken in zip(calls, seconds, strict=True):
            started = time.process_time()
            call()
            taken.append(time.process_time() - started)
    return [statistics.median(taken[1:]) for taken in seconds]
