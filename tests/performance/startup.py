"""What the command costs before and beside the model: medians of whole processes, as ratios of an empty Python process.

Run by hand: ``python tests/performance/startup.py``. The demo release must exist already (any run of `demo` makes it).
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.releases import write_text_release, write_text_task

RUNS = 7
AIMS_S = {"--help": 0.10, "ls": 0.25, "one demo item": 0.8, "1,000 text-only items": 1.5}


def timed(command: list[str]) -> tuple[float, float]:
    """Median seconds and the largest resident memory in MiB over the runs; each run gets a directory of its own."""
    seconds = []
    for _ in range(RUNS + 1):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Print a row for each thing a user waits for."""
    python = sys.executable
    command = [str(Path(python).with_name("avemo-eval"))]
    empty, _ = timed([python, "-c", "pass"])
    print(f"{'':<24}{'median s':>9}{'aim':>7}{'x empty python':>16}{'peak MiB so far':>17}")
    print(f"{'python -c pass':<24}{empty:>9.3f}")
    with tempfile.TemporaryDirectory() as folder:
        task = write_text_task(Path(folder) / "text.yaml", write_text_release(Path(folder) / "data", 1000))
        rows = {
            "--help": [*command, "--help"],
            "ls": [*command, "ls"],
            "1,000 text-only items": [*command, "--model", "random", "--tasks", str(task)],
            "one demo item": [*command, "--model", "random", "--tasks", "demo_full_av", "--limit", "1"],
        }
        for name, row in rows.items():
            seconds, peak = timed(row)
            print(f"{name:<24}{seconds:>9.3f}{AIMS_S[name]:>7.2f}{seconds / empty:>16.1f}{peak:>17.0f}")


if __name__ == "__main__":
    main()
