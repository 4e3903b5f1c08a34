"""The table of phases: where the time of a run went."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from avemo_harness.phases import PHASES, PhaseSeconds
from avemo_harness.run.json_files import WorkerTiming, read_timing
from avemo_harness.text import aligned


def phase_sums(timings: Iterable[WorkerTiming]) -> dict[str, PhaseSeconds]:
    """Seconds of each phase, in the order of `PHASES`, over all workers and all calls of a run's command."""
    sums: dict[str, PhaseSeconds] = {}
    for timing in timings:
        for name, seconds in timing.phases.items():
            sums[name] = sums.get(name, PhaseSeconds()) + seconds
    return {name: sums[name] for name in (*PHASES, *sums) if name in sums}


def format_timing(folder: Path) -> str:
    """The table of a run's phases, with what it is of: workers are summed, and so are calls that went on with a run.

    Raises:
        StoreError: `timing.json` is damaged.
    """
    timings = [timing for timing in read_timing(folder) if timing.phases]
    if not timings:
        return "time by phase: the run has none yet"
    sums = phase_sums(timings)
    whole = sum(sums.values(), start=PhaseSeconds())
    rows = [["phase", "s", "share", "beside, s"]]
    for name, seconds in [*sums.items(), ("all", whole)]:
        share = f"{seconds.asking / whole.asking:.1%}" if whole.asking else ""
        rows.append([name, f"{seconds.asking:.2f}", share, f"{seconds.beside:.2f}" if seconds.beside else ""])
    head, rule, *lines = aligned(rows)
    width = len(rule)
    described = [
        f"{line:{width}}  {PHASES.get(row[0], '')}".rstrip() for line, row in zip(lines, rows[1:], strict=True)
    ]
    return "\n".join([f"time by phase ({_extent(timings)}):", head, rule, *described, *_notes(timings)])


def _extent(timings: list[WorkerTiming]) -> str:
    asking = [timing for timing in timings if timing.stage == "asking"]
    judged = sum(timing.records for timing in timings if timing.stage == "judging")
    answers = (
        f"{sum(timing.records for timing in asking)} answers by {len(asking)} worker(s), one a call of the command"
    )
    return answers + (f"; {judged} replies judged" if judged else "")


def _notes(timings: list[WorkerTiming]) -> list[str]:
    notes = ["beside: by other threads at the same time; a worker that was killed left no times"]
    if any(timing.approximate for timing in timings):
        notes.append("part of it was asked without --timing: a GPU's time counts there where a result was first needed")
    return notes
