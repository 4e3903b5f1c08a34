"""What the command costs before and beside the model: medians of whole processes, as ratios of an empty Python process.

Run by hand: ``python tests/performance/startup.py``. The demo release must exist already (any run of `demo` makes it).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# This process stays small: a child's peak memory counts from what its parent had when it was started.
MAKE_TASK = """
import sys
from pathlib import Path
from support.releases import write_text_release, write_text_task
folder = Path(sys.argv[1])
write_text_task(folder / "text.yaml", write_text_release(folder / "data", 1000))
"""

RUNS = 7
AIMS_S = {"--help": 0.10, "ls": 0.25, "one demo item": 0.8, "1,000 text-only items": 1.5}


def timed(command: list[str]) -> tuple[float, float]:
    """Median seconds and median peak memory in MiB of whole processes; each run gets a directory of its own."""
    seconds, peaks = [], []
    for _ in range(RUNS + 1):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            seconds.append(time.perf_counter() - started)
            peaks.append(usage.ru_maxrss / 1024)
            if status:
                raise SystemExit(f"failed: {' '.join(command)}")
    return statistics.median(seconds[1:]), statistics.median(peaks[1:])


def main() -> None:
    """Print a row for each thing a user waits for."""
    python = sys.executable
    command = [str(Path(python).with_name("avemo-eval"))]
    empty, small = timed([python, "-c", "pass"])
    print(f"{'':<24}{'median s':>9}{'aim':>7}{'x empty python':>16}{'peak MiB':>10}")
    print(f"{'python -c pass':<24}{empty:>9.3f}{'':>7}{'':>16}{small:>10.0f}")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-c", MAKE_TASK, folder], cwd=Path(__file__).parents[1], check=True)
        task = Path(folder) / "text.yaml"
        rows = {
            "--help": [*command, "--help"],
            "ls": [*command, "ls"],
            "1,000 text-only items": [*command, "--model", "random", "--tasks", str(task)],
            "one demo item": [*command, "--model", "random", "--tasks", "demo_full_av", "--limit", "1"],
        }
        for name, row in rows.items():
            seconds, peak = timed(row)
            print(f"{name:<24}{seconds:>9.3f}{AIMS_S[name]:>7.2f}{seconds / empty:>16.1f}{peak:>10.0f}")


if __name__ == "__main__":
    main()
