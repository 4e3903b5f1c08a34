"""Every metric of a run as a line of a CSV file."""

from __future__ import annotations

import csv
import io

from avemo_harness.publishing import publishable
from avemo_harness.report.exports.exported import Publication, model_id, release_of, setup_notes
from avemo_harness.report.marks import mark_of
from avemo_harness.report.numbers import shown_interval, shown_value
from avemo_harness.report.results_file import FinishedRun
from avemo_harness.text import safe_cell

HEADER = (
    *("model", "task", "group", "condition", "metric", "value", "ci_low", "ci_high"),
    *("n", "n_undefined", "n_invalid", "n_errors", "n_dialogues", "status", "comparable", "release", "setup"),
    *("shown", "interval", "marks", "caveats"),
)


def spreadsheet(run: FinishedRun, publication: Publication) -> dict[str, str]:
    """One file with a line for each metric of each task that was asked; undefined values are empty cells.

    `value`, `ci_low` and `ci_high` are exact; `shown` and `interval` have the digits of the other tables, and `shown`
    the marks whose sentences are in `caveats`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    model = model_id(run, publication)
    for task in run.record.tasks:
        result = run.result.tasks[task.task]
        if result.status == "skipped":
            continue
        release = release_of(run, task, publication)
        source = release.hub_id or publishable(release.source)
        setup = setup_notes(run, task)
        for name, metric in result.metrics.items():
            numbers = [_number(x) for x in (metric.value, metric.ci_low, metric.ci_high)]
            counts = [metric.n, metric.n_undefined, metric.n_invalid, metric.n_errors, result.n_clusters]
            before = [model, task.task, task.group or "", task.condition.name, name]
            marks = mark_of(metric)
            caveats = "; ".join(f"{mark}: {run.result.marks[mark]}" for mark in metric.marks)
            after = [result.status, "yes" if result.comparable else "no", source, setup]
            after += [shown_value(metric) + (f" {marks}" if marks else ""), shown_interval(metric), marks, caveats]
            writer.writerow([*map(safe_cell, before), *numbers, *map(str, counts), *map(safe_cell, after)])
    return {"results.csv": text.getvalue()}


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)
