"""Which sides are compared with which: runs with the first of them, or the conditions of one run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.errors import UsageError
from avemo_harness.report.compare.contrasts import (
    Side,
    adjusted,
    contrast_conditions,
    contrast_runs,
    table_columns,
)
from avemo_harness.report.compare.records import Comparison, Contrast
from avemo_harness.report.compare.refusals import differences_that_matter, differences_to_know, different_judges
from avemo_harness.report.run_labels import run_labels
from avemo_harness.report.scored_run import ScoredRun, read_scored_run
from avemo_harness.scorers import is_judged

CONDITIONS = {"video_only": "V", "audio_only": "A", "full_av": "AV"}
"""In the order that makes a difference what the second of two adds: hearing over seeing, both over either."""


def compare_runs(folders: Sequence[Path], force: bool) -> Comparison:
    """Compare runs with the first of them, task by task, on the items that both have scored.

    Where two judges scored the replies, these are left out, and a note says so.

    Args:
        force: compare although tasks, releases or judges differ; what differs is then a note.

    Raises:
        UsageError: a folder is no scored run, comes twice, or the runs differ in what they were asked, have no task in
            common, or none but such that two judges scored.
        StoreError: a file of a run is damaged.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("the same run is given twice; give the folders of different runs")
    runs = [read_scored_run(folder) for folder in folders]
    labels = run_labels([(run.record.config.model, run.folder) for run in runs])
    contrasts: list[Contrast] = []
    notes: list[str] = []
    for label, run in zip(labels[1:], runs[1:], strict=True):
        tasks = tuple(name for name in runs[0].items if name in run.items)
        if not tasks:
            raise UsageError(f"{runs[0].folder} and {run.folder} have no scored task in common")
        apart = () if force else _judged_apart(runs[0], run, tasks)
        if apart:
            notes.append(f"{labels[0]}, {label}: left out, {', '.join(apart)}: {different_judges(runs[0], run)}")
            tasks = tuple(name for name in tasks if name not in apart)
        matter = list(differences_that_matter(runs[0], run, tasks))
        if matter and not force:
            raise UsageError(
                f"{labels[0]} and {label} are not two measurements of the same thing (--force compares all the same):\n"
                + "\n".join(f"  {one}" for one in matter)
            )
        notes += [f"{labels[0]}, {label}: {one}" for one in (*matter, *differences_to_know(runs[0].record, run.record))]
        notes += _left_out(labels[0], runs[0], label, run)
        for name in tasks:
            task = runs[0].task(name)
            columns = table_columns(task, runs[0].record.groups)
            sides = Side(labels[0], runs[0], task), Side(label, run, run.task(name))
            contrasts.append(contrast_runs(*sides, columns))
    return _comparison(labels, runs, contrasts, notes)


def compare_conditions(folder: Path) -> Comparison:
    """Compare what one run understood of voice and face together, of voice alone and of face alone, turn by turn.

    Raises:
        UsageError: the folder is no scored run, or asked the labels of fewer than two of the conditions.
        StoreError: a file of the run is damaged.
    """
    run = read_scored_run(folder)
    groups = dict.fromkeys(task.group for task in run.record.tasks if task.group)
    contrasts = []
    for group in groups:
        tasks = _by_condition(run, group)
        sides = [Side(short, run, tasks[name]) for name, short in CONDITIONS.items() if name in tasks]
        contrasts += [contrast_conditions(first, second) for first, second in combinations(sides, 2)]
    if not contrasts:
        raise UsageError(
            f"{folder}: no group of its tasks asks for labels under two of {', '.join(CONDITIONS)}; give a second run "
            "to compare it with"
        )
    return _comparison([run.record.config.model], [run], contrasts, [])


def _by_condition(run: ScoredRun, group: str) -> dict[str, TaskSpec]:
    """The first task of each condition that asks for labels."""
    tasks: dict[str, TaskSpec] = {}
    for task in run.record.tasks:
        asks = any(scorer.name == "understanding" for scorer in task.scorers)
        if task.group == group and asks and task.task in run.items:
            tasks.setdefault(task.condition.name, task)
    return tasks


def _judged_apart(first: ScoredRun, second: ScoredRun, tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks that two judges scored, where there are others to compare."""
    judged = tuple(name for name in tasks if is_judged(first.task(name)))
    return judged if different_judges(first, second) and len(judged) < len(tasks) else ()


def _left_out(first: str, one: ScoredRun, second: str, other: ScoredRun) -> list[str]:
    return [
        f"{first}, {second}: left out, scored for {label} alone: {', '.join(names)}"
        for label, here, there in ((first, one, other), (second, other, one))
        if (names := [name for name in here.items if name not in there.items])
    ]


def _comparison(
    labels: Sequence[str], runs: Sequence[ScoredRun], contrasts: Sequence[Contrast], notes: Sequence[str]
) -> Comparison:
    done, tests = adjusted(contrasts)
    sides = {label: str(run.folder) for label, run in zip(labels, runs, strict=True)}
    return Comparison(sides, done, tuple(notes), tests["table"], tests["other"])
