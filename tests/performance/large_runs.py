"""Runs of many dialogues: the page of 2,000 turns against scoring them, and peak memory as dialogues grow."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from performance.startup import make_text_task
from performance.table import COMMAND, Row, cost_of, median_cpu_s

FEW, MANY, TURNS = 100, 10_000, 1


def report_rows() -> Iterator[Row]:
    """The page of 400 dialogues of 5 turns."""
    from avemo_harness.report.html.page import write_report
    from avemo_harness.report.results import score_run

    with tempfile.TemporaryDirectory() as folder:
        task, run = make_text_task(Path(folder), 400, 5), Path(folder) / "run"
        cost_of([*COMMAND, "--model", "random", "--tasks", str(task), "--output_path", str(run)], Path(folder))
        ours, scoring = median_cpu_s(lambda: write_report(run), lambda: score_run(run))
    yield Row("report of 2,000 turns", ours, "s", scoring, "scoring them", "CPU, median of 5, in turn")


def memory_rows() -> Iterator[Row]:
    """Peak memory of whole runs of the command: asking, scoring and the page."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for dialogues in (FEW, MANY):
            apart = Path(folder) / str(dialogues)
            apart.mkdir()
            task = make_text_task(apart, dialogues, TURNS)
            peaks.append(cost_of([*COMMAND, "--model", "random", "--tasks", str(task)], apart).peak_mib)
    taken = f"peak of a whole run, text of {TURNS} turn a dialogue, once each"
    yield Row(f"memory at {MANY:,} dialogues", peaks[1], "MiB", peaks[0], f"at {FEW}", taken, 1.2, of_ratio=True)
