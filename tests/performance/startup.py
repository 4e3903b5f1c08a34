"""What the command costs before and beside the model: whole processes against an empty one.

The demo release is made by the first run where it is not there yet; that run is not counted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from performance.table import COMMAND, ROOT, RUNS, Row, median_costs

# This process stays small: a child's peak memory counts from what its parent had when it was started.
MAKE_TASK = """
import sys
from pathlib import Path
from support.releases import write_text_release, write_text_task
folder = Path(sys.argv[1])
write_text_task(folder / "text.yaml", write_text_release(folder / "data", int(sys.argv[2]), int(sys.argv[3])))
"""
EMPTY = (sys.executable, "-c", "pass")
TAKEN = f"CPU, median of {RUNS}, in turn"


def make_text_task(folder: Path, dialogues: int, turns: int = 1) -> Path:
    """A release of text with a task, made by another process."""
    command = [sys.executable, "-c", MAKE_TASK, str(folder), str(dialogues), str(turns)]
    subprocess.run(command, cwd=ROOT / "tests", check=True)
    return folder / "text.yaml"


def _rows(commands: dict[str, tuple[tuple[str, ...], float]]) -> Iterator[Row]:
    empty, *costs = median_costs([EMPTY, *(command for command, _ in commands.values())])
    for (name, (_, aim)), cost in zip(commands.items(), costs, strict=True):
        taken = f"{TAKEN}; {cost.wall_s:.2f} s on the clock, {cost.peak_mib:.0f} MiB"
        yield Row(name, cost.cpu_s, "s", empty.cpu_s, "python -c pass", taken, aim)


def start_rows() -> Iterator[Row]:
    """Commands that must answer at once."""
    yield from _rows({"--help": ((*COMMAND, "--help"), 0.10), "ls": ((*COMMAND, "ls"), 0.25)})


def item_rows() -> Iterator[Row]:
    """Whole runs."""
    with tempfile.TemporaryDirectory() as folder:
        task = make_text_task(Path(folder), 1_000)
        yield from _rows(
            {
                "one demo item": ((*COMMAND, "--model", "random", "--tasks", "demo_full_av", "--limit", "1"), 0.8),
                "1,000 text items": ((*COMMAND, "--model", "random", "--tasks", str(task)), 1.5),
            }
        )
