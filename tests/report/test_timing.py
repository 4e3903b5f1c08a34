"""The table of phases sums workers and calls, says what it is of, and what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.phases import PhaseSeconds
from avemo_harness.report.timing import format_timing, phase_sums
from avemo_harness.run.json_files import WorkerTiming, write_timing

ONE = WorkerTiming("one", 100.0, 8.0, 3, {"media": PhaseSeconds(0.0, 5.0), "generate": PhaseSeconds(6.0)})
OTHER = WorkerTiming("other", 101.0, 4.0, 2, {"generate": PhaseSeconds(1.5), "waiting": PhaseSeconds(2.5)})
JUDGE = WorkerTiming("judge", 110.0, 2.0, 4, {"judge": PhaseSeconds(2.0)}, stage="judging")


def test_seconds_of_workers_add_up_in_the_order_of_the_phases() -> None:
    sums = phase_sums([OTHER, ONE, JUDGE])
    assert list(sums.items()) == [
        ("media", PhaseSeconds(0.0, 5.0)),
        ("generate", PhaseSeconds(7.5)),
        ("judge", PhaseSeconds(2.0)),
        ("waiting", PhaseSeconds(2.5)),
    ]


def test_the_table_of_a_run(tmp_path: Path) -> None:
    before_phases = WorkerTiming("old", 1.0, 50.0, 9)
    write_timing(tmp_path, [before_phases, ONE, OTHER, JUDGE])
    lines = format_timing(tmp_path).splitlines()
    assert lines[0] == ("time by phase (5 answers by 2 worker(s), one a call of the command; 4 replies judged):")
    cells = [line.split()[:4] for line in lines[3:8]]
    assert cells[0][:3] == ["media", "0.00", "0.0%"]
    assert [row[:3] for row in cells[1:]] == [
        ["generate", "7.50", "62.5%"],
        ["judge", "2.00", "16.7%"],
        ["waiting", "2.50", "20.8%"],
        ["all", "12.00", "100.0%"],
    ]
    assert cells[0][3] == cells[4][3] == "5.00"
    assert lines[3].endswith("making and decoding clips")
    assert len(lines) == 9


def test_a_gpu_that_was_not_waited_for_is_said(tmp_path: Path) -> None:
    write_timing(tmp_path, [ONE, WorkerTiming("gpu", 1.0, 2.0, 1, {"encode": PhaseSeconds(1.0)}, approximate=True)])
    assert "asked without --timing" in format_timing(tmp_path).splitlines()[-1]


@pytest.mark.parametrize("timings", [[], [WorkerTiming("old", 1.0, 50.0, 9)]])
def test_a_run_without_phases_says_so(timings: list[WorkerTiming], tmp_path: Path) -> None:
    write_timing(tmp_path, timings)
    assert format_timing(tmp_path) == "time by phase: the run has none yet"
