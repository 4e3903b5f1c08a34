"""Time to the first table, phase by phase: in an empty home, and with everything cached.

Run by hand on a quiet machine: ``python tests/performance/first_minute.py``. Seconds on the clock depend on what else
the machine does, those of processors less so. At the end stand what an eager user meets first: a single item, and a
mistyped task.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

FIRST = ("--model", "baseline", "--tasks", "demo")
AIMS = {"fresh": (40.0, 60.0), "cached": (15.0, None), "one item": (0.8, None), "mistyped task": (0.4, None)}
"""Most seconds on the clock, and of processors."""
BEGINNINGS = {
    "the clips": ("making the ",),
    "the questions": ("the demo release is in",),
    "judging the replies": ("judging ",),
}
"""The lines with which a phase begins; that of the report begins with the table, and judging ends with scoring."""


@dataclass
class Measured:
    """A command that ran: its lines with the seconds at which they came, and what it took."""

    code: int
    wall_s: float
    cpu_s: float
    peak_mib: float
    lines: list[tuple[float, str]] = field(default_factory=list)

    @property
    def phases(self) -> dict[str, float]:
        """Seconds on the clock by phase, in order."""
        made = any(line.startswith(BEGINNINGS["the clips"]) for _, line in self.lines)
        begun = {"starting" if made else "starting, the questions": 0.0}
        for name, beginnings in BEGINNINGS.items():
            found = [at for at, line in self.lines if line.startswith(beginnings)]
            if found:
                begun[name] = found[0]
        if table := [at for at, line in self.lines if line.startswith("baseline ")]:
            begun["writing the report"] = table[0]
        ends = [*list(begun.values())[1:], self.wall_s]
        return {name: end - start for (name, start), end in zip(begun.items(), ends, strict=True)}


def measure(arguments: tuple[str, ...], home: Path, folder: Path) -> Measured:
    """Run the command in a home and a folder, as a shell without any setting for this package or for threads would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AVEMO_", "OMP_", "XDG_"))}
    environment: Mapping[str, str] = {**kept, "HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "avemo_harness", *arguments]
    lines: list[tuple[float, str]] = []
    folder.mkdir(parents=True)
    started = time.perf_counter()

    def read(stream: IO[str]) -> None:
        for line in stream:
            lines.append((time.perf_counter() - started, line.rstrip("\n")))

    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        readers = [threading.Thread(target=read, args=(stream,)) for stream in (process.stdout, process.stderr)]
        for reader in readers:
            reader.start()
        _, status, usage = os.wait4(process.pid, 0)  # with the processes that it waited for
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        for reader in readers:
            reader.join()
    cpu_s = usage.ru_utime + usage.ru_stime
    return Measured(process.returncode, wall_s, cpu_s, usage.ru_maxrss / 1024, sorted(lines))


def show(name: str, measured: Measured) -> None:
    """Print what it took beside its aim, and its phases."""
    wall_aim, cpu_aim = AIMS[name]
    of_cpu = "" if cpu_aim is None else f" (aim {cpu_aim:g})"
    print(
        f"{name:<16}{measured.wall_s:7.2f} s on the clock (aim {wall_aim:g}), {measured.cpu_s:.2f} s of processors"
        f"{of_cpu}, {measured.peak_mib:.0f} MiB"
    )
    if len(measured.phases) > 1:
        for phase, seconds in measured.phases.items():
            print(f"    {phase:<24}{seconds:7.2f} s")


def main() -> int:
    """Measure, and print the tables with what they hold on to."""
    print(f"{len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory(prefix="first-minute-") as temporary:
        home, work = Path(temporary, "home"), Path(temporary, "work")
        home.mkdir()
        results = []
        for name in ("fresh", "cached"):
            measured = measure(FIRST, home, work / name)
            show(name, measured)
            if measured.code:
                print("\n".join(line for _, line in measured.lines[-20:]))
                return 1
            (run,) = (work / name / "runs").iterdir()
            results.append((run / "results.json").read_bytes())
        table = json.loads(results[0])
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        counts = {task: facts["n_items"] for task, facts in table["tasks"].items()}
        print(f"\nn: {counts}")
        print(f"release: {[release['fingerprint'][:16] for release in record['releases']]}")
        print(f"results.json of both runs: {'equal' if results[0] == results[1] else 'UNEQUAL'}\n")
        one = ("--model", "random", "--tasks", "demo_full_av", "--limit", "1")
        show("one item", measure(one, home, work / "one"))
        show("mistyped task", measure(("--model", "baseline", "--tasks", "demoo"), home, work / "mistyped"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
