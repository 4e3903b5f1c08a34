"""Take in ratings of a run's answers on the scale of their task's rubric, which the grader is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.errors import UsageError
from avemo_harness.human.importing import number_of, read_rows
from avemo_harness.registry import hint
from avemo_harness.run.config import read_run
from avemo_harness.run.gradings import answer_digest
from avemo_harness.run.ratings import RatedAnswer, write_ratings
from avemo_harness.run.store import RunStore
from avemo_harness.scorers import is_graded, reported_metrics
from avemo_harness.scorers.metric import RUBRIC

FIELDS = ("task", "item", "rater", "rating")
"""Fields of a row; without a task it is about the only one that is graded."""


@dataclass(frozen=True, slots=True)
class RunImportCounts:
    """Counts of an import: ratings, the answers that they are of, and raters."""

    ratings: int
    answers: int
    raters: int


def import_run_ratings(folder: Path, sources: Sequence[Path], columns: Mapping[str, str]) -> RunImportCounts:
    """Take the ratings of some files in: all or, where one row is wrong, none. Earlier ones of these tasks give way.

    Raters' names are not kept.

    Args:
        columns: what the file calls a field of `FIELDS`, where it has another name.

    Raises:
        UsageError: a row is not as expected, or the run has no task that a model grades.
        StoreError: the run directory is damaged or cannot be written.
    """
    scales = _scales(folder)
    if not scales:
        raise UsageError(
            f"{folder}: no answers of this run are graded by a rubric, so they have no scale to be rated on"
        )
    store = RunStore(folder)
    store.refresh()
    given: dict[tuple[str, str], dict[str, float]] = {}
    rows = ((f"{source}:{number}", row) for source in sources for number, row in read_rows(source, columns, FIELDS))
    for where, row in rows:
        task = _task(row["task"], scales, where)
        item = str(row["item"])
        if (task, item) not in store.answers:
            known = [name for of_task, name in store.answers if of_task == task]
            raise UsageError(f"{where}: {task} has no answer to an item {item!r}{hint(item, known[:1000])}")
        low, high = scales[task]
        rating = number_of(row["rating"], f"{where}: rating")
        if not low <= rating <= high:
            raise UsageError(f"{where}: rating: expected a number from {low:g} to {high:g}, found {rating:g}")
        rater = "" if row["rater"] is None else str(row["rater"]).strip()
        if given.setdefault((task, item), {}).setdefault(rater, rating) != rating:
            who = f"rater {rater!r}" if rater else "nobody named, so say who in a column `rater`"
            raise UsageError(f"{where}: item {item!r} is rated twice by {who}, and not alike")
    rated = []
    for key, ratings in given.items():
        text = store.answers[key].text or ""
        rated.append(RatedAnswer(*key, answer_digest(text), sum(ratings.values()) / len(ratings), len(ratings)))
    write_ratings(folder, rated)
    raters = {rater for ratings in given.values() for rater in ratings}
    return RunImportCounts(sum(map(len, given.values())), len(given), len(raters))


def _scales(folder: Path) -> dict[str, tuple[float, float]]:
    """The scale of each task that a model grades."""
    return {
        task.task: (metric.low, metric.high)
        for task in read_run(folder).tasks
        if is_graded(task)
        for scorer in task.scorers
        if scorer.name == RUBRIC
        for metric in reported_metrics(scorer.model_copy(update={"metrics": ("rubric_mean",)}))
    }


def _task(value: object, scales: Mapping[str, object], where: str) -> str:
    if value in (None, "") and len(scales) == 1:
        return next(iter(scales))
    if value not in scales:
        raise UsageError(f"{where}: task: expected one of {', '.join(scales)}, found {value!r}")
    return str(value)
