"""A run's results as plain text: one row a split in the order of the benchmark's table, and what stands behind it."""

from __future__ import annotations

from collections.abc import Sequence

from avemo_harness.report.results import GroupResult, RunResult, TaskResult
from avemo_harness.scorers.base import Metric

NOT_ASKED = "—"


def format_results(result: RunResult) -> str:
    """Lay out a run's results for a terminal of 80 columns or more."""
    parts = [_format_group(group, result) for group in result.groups.values()]
    parts.append(_format_tasks(list(result.tasks.values())))
    notes = _notes(result)
    return "\n\n".join([*parts, "\n".join(notes)] if notes else parts)


def _format_group(group: GroupResult, result: RunResult) -> str:
    names = list(group.columns)
    values = [_value(metric) for metric in group.columns.values()]
    intervals = [_interval(metric) for metric in group.columns.values()]
    rows = [["model", *names], [result.model, *values], ["95 % interval", *intervals]]
    lines = [group.title + _mark(result), *_aligned(rows)]
    if group.fusion_gain is not None and group.fusion_gain.value is not None:
        gain = group.fusion_gain
        lines.append(f"Acc_AV - max(Acc_A, Acc_V): {gain.value:+.3f}  {_interval(gain)}  paired, {gain.n} turns")
    return "\n".join(lines)


def _format_tasks(tasks: Sequence[TaskResult]) -> str:
    header = ["task", "metric", "value", "95 % interval", "n", "dialogues", "invalid", "errors", "missing"]
    rows = [header]
    for task in tasks:
        counts = [
            str(task.n_answered),
            str(task.n_clusters),
            str(task.n_invalid),
            str(task.n_errors),
            str(task.n_missing),
        ]
        if task.status == "skipped":
            rows.append([task.task, NOT_ASKED, NOT_ASKED, NOT_ASKED, *[NOT_ASKED] * 5])
        for i, (name, metric) in enumerate(task.metrics.items()):
            first = i == 0
            rows.append(
                [
                    task.task if first else "",
                    name,
                    _value(metric),
                    _interval(metric),
                    *(counts if first else [""] * 5),
                ]
            )
        if task.status != "skipped" and not task.metrics:
            rows.append([task.task, "(no scorer)", NOT_ASKED, NOT_ASKED, *counts])
    return "\n".join(_aligned(rows))


def _notes(result: RunResult) -> list[str]:
    notes = []
    if result.partial:
        notes.append("partial: only some of the tasks' items were asked for (--limit, --ids or --where)")
    if result.n_errors:
        notes.append(
            f"provisional: {result.n_errors} items failed and are not scored; the same command asks them again "
            "(reasons: responses/*.jsonl)"
        )
    if result.n_missing:
        notes.append(f"provisional: {result.n_missing} items are not answered yet; the same command continues")
    for task in result.tasks.values():
        if task.status == "skipped":
            notes.append(f"{task.task}: not asked, {task.reason}")
    return notes


def _mark(result: RunResult) -> str:
    marks = [name for name, on in (("partial", result.partial), ("provisional", result.provisional)) if on]
    return f"  ({', '.join(marks)})" if marks else ""


def _value(metric: Metric | None) -> str:
    return NOT_ASKED if metric is None or metric.value is None else f"{metric.value:.3f}"


def _interval(metric: Metric | None) -> str:
    if metric is None or metric.ci_low is None or metric.ci_high is None:
        return NOT_ASKED
    return f"{metric.ci_low:.3f}-{metric.ci_high:.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns padded to equal width: the first to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text_columns = {i for i in range(len(widths)) if i == 0 or rows[0][i] == "metric"}
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i in text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]
