"""A run's results as plain text for a terminal: the row of each group, all metrics, and reasons for doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from string import ascii_lowercase
from typing import Any

from avemo_harness.benchmark.group import GroupSpec
from avemo_harness.benchmark.published import PEOPLE
from avemo_harness.metrics.bootstrap import TOO_FEW
from avemo_harness.report.board import LABELS, rated_columns
from avemo_harness.report.others import OTHERS, rows_of_others, source_of
from avemo_harness.report.results import GroupResult, RunResult, TaskResult
from avemo_harness.report.scored_run import BENCHMARK_SCALES, PeopleScores
from avemo_harness.report.table import (
    INTERVAL_AND_COUNT,
    Cell,
    Cells,
    Table,
    as_text,
    mark_lines,
    metric_cell,
    on_the_point,
)
from avemo_harness.report.values import (
    UNDEFINED,
    figure,
    mark_of,
    of_resampled,
    sentences_of,
    shown_interval,
    shown_value,
    span,
)
from avemo_harness.run.config import RunRecord
from avemo_harness.scorers.base import MetricValue
from avemo_harness.scorers.metric import RUBRIC
from avemo_harness.text import aligned


def metric_columns(tasks: Iterable[TaskResult]) -> tuple[str, ...]:
    """Heads of the table of all metrics; the count of what is resampled is named after it: "dialogues, speakers"."""
    resampled = ", ".join(f"{unit}s" for unit in dict.fromkeys(task.resampled for task in tasks)) or "dialogues"
    return ("task", "metric", "value", "95 % interval", "n", resampled, "invalid", "errors", "missing")


def format_results(result: RunResult, people: Sequence[PeopleScores] = (), record: RunRecord | None = None) -> str:
    """Lay out a run's results for a terminal of 80 columns or more.

    Args:
        people: what people gave the replies, by task and wording of the scales; each joins the rows of its group.
        record: of the run, for what others report of its benchmarks.
    """
    parts = []
    for group in result.groups.values():
        layout = next((of for of in record.groups if of.group == group.group), None) if record else None
        parts.append(_format_group(group, result, layout))
        if record and layout and layout.published:
            parts.append(_format_others(layout, record))
        parts += [_format_people(scores, group.row) for scores in people if scores.group == group.group]
    parts += [_format_people(scores, result.model) for scores in people if scores.group not in result.groups]
    parts.append(_format_tasks(result.tasks.values()))
    marks = dict(result.marks) | sentences_of(x for scores in people for x in rated_columns(scores).values())
    for lines in (mark_lines(marks), result_notes(result)):
        if lines:
            parts.append("\n".join(lines))
    return "\n\n".join(parts)


def run_states(result: RunResult) -> list[str]:
    """Reasons why the scores of a run may still change or are not of all items, in a word each."""
    return [name for name, on in (("partial", result.partial), ("provisional", result.provisional)) if on]


def _format_others(layout: GroupSpec, record: RunRecord) -> str:
    """Figures of others under the columns of the measured row, each marked by its source."""
    rows = rows_of_others(layout, [task for task in record.tasks if task.group == layout.group])
    figures = [x for _, cells in rows for x in cells.values()]
    letters = dict(zip(dict.fromkeys(map(source_of, figures)), ascii_lowercase, strict=False))
    shown = [
        (name, {column: Cell(f"{x.value:g}", (letters.get(source_of(x), ""),)) for column, x in cells.items()})
        for name, cells in rows
    ]
    columns = tuple(dict.fromkeys(column for _, cells in rows for column in cells))
    lines = as_text(Table("as others report", columns, tuple(shown)), {})
    return "\n".join([OTHERS, *lines, *mark_lines({mark: sentence for sentence, mark in letters.items()})])


def _format_group(group: GroupResult, result: RunResult, layout: GroupSpec | None = None) -> str:
    states = run_states(result)
    lines = [group.title + (f"  ({', '.join(states)})" if states else "")]
    # The columns of a benchmark stand in one table, in its own order.
    own = layout is not None and layout.benchmark is not None
    labelled = [name for name in group.columns if name in LABELS and not own]
    scored_by_judge = [name for name in group.columns if name not in LABELS or own]
    if scored_by_judge:
        lines += _model_lines(group.row, group.columns, scored_by_judge, group.trivial)
    if labelled:
        lines += [*([""] if scored_by_judge else []), *_model_lines(group.row, group.columns, labelled)]
    for name, contrast in defined_contrasts(group):
        value = shown_value(contrast, signed=True) + mark_of(contrast)
        lines.append(f"{name}: {value}  {shown_interval(contrast, signed=True)}  paired, {contrast.n} turns")
    return "\n".join(lines)


def defined_contrasts(group: GroupResult) -> list[tuple[str, MetricValue]]:
    """The contrasts of a group that have a value, by how they are computed from columns."""
    return [
        (name, contrast)
        for name, contrast in group.contrasts.items()
        if contrast is not None and contrast.value is not None
    ]


def _model_lines(
    row: str,
    columns: Mapping[str, MetricValue | None],
    names: Sequence[str],
    trivial: Mapping[str, Mapping[str, MetricValue | None]] | None = None,
) -> list[str]:
    """A model's values with intervals and n; below them, values alone of replies that take no understanding."""
    rows: list[tuple[str, Cells]] = [(row, {name: metric_cell(columns.get(name)) for name in names})]
    for beside, metrics in (trivial or {}).items():
        rows.append((beside, {name: replace(metric_cell(metrics.get(name)), n=None) for name in names}))
    return as_text(Table("model", tuple(names), tuple(rows)), INTERVAL_AND_COUNT)


def rated_by(people: PeopleScores) -> str:
    """Name the rated task, the number of raters, and scales that are not the benchmark's."""
    left_out = f", {people.excluded} left out" if people.excluded else ""
    mark = "" if people.complete else "  (provisional: some items have fewer raters than planned)"
    scales = "" if people.scales == BENCHMARK_SCALES else f" on other scales ({people.scales}), no {', '.join(PEOPLE)}"
    return f"{people.task}, rated by {people.raters} people{left_out}{scales}{mark}"


def _format_people(people: PeopleScores, model: str) -> str:
    columns = rated_columns(people)
    return "\n".join([rated_by(people), *_model_lines(model, columns, list(columns))])


def metric_rows(
    tasks: Iterable[TaskResult], interval: Callable[[Cell], str], count: Callable[[int], str]
) -> Iterator[tuple[TaskResult | None, str, Cell, list[str]]]:
    """Rows of the table of all metrics: task, metric, value, and the cells after these.

    The task and its counts stand in the first of its rows alone.
    """
    for task in tasks:
        first: TaskResult | None = task
        totals = (task.n_clusters, task.n_invalid, task.n_errors, task.n_missing)
        counts = [UNDEFINED if task.status == "skipped" else count(n) for n in totals]
        for name, found in _task_cells(task).items():
            cell = replace(found, interval=tuple(of_resampled(part, task.resampled) for part in found.interval))
            yield first, name, cell, [interval(cell), UNDEFINED if cell.n is None else count(cell.n), *counts]
            first, counts = None, [""] * len(counts)


def _format_tasks(tasks: Iterable[TaskResult]) -> str:
    """The table of all metrics; below the rows of a task stands what is odd about its answers."""
    tasks = list(tasks)
    rows = list(metric_rows(tasks, _unbroken_interval, str))
    values = on_the_point([cell.figure for _, _, cell, _ in rows])
    shown = (
        [task.task if task else "", name, value, *others]
        for (task, name, _, others), value in zip(rows, values, strict=True)
    )
    head, rule, *body = aligned([metric_columns(tasks), *shown])
    lines, below = [head, rule], list[str]()
    for (task, *_), line in zip(rows, body, strict=True):
        if task is not None:
            lines += below
            below = [f"  {oddity}" for oddity in _below(task)]
        lines.append(line)
    return "\n".join([*lines, *below])


def _task_cells(task: TaskResult) -> dict[str, Cell]:
    """The rows of a task by what they show; there is always one."""
    if task.status == "skipped":
        return {UNDEFINED: Cell()}
    cells = {name: metric_cell(metric) for name, metric in task.metrics.items()}
    if task.n_spoken is not None and "coverage" not in cells:
        cells["spoken"] = Cell(f"{task.n_spoken}/{task.n_answered}", n=task.n_answered)
    return cells or {"(no scorer)": Cell(n=task.n_answered)}


def _unbroken_interval(cell: Cell) -> str:
    """The interval, or its note; a note that would make the widest table wider still is left to the value's mark."""
    too_few = len(cell.interval) == 1 and cell.interval[0] in (TOO_FEW, of_resampled(TOO_FEW, "speaker"))
    return cell.interval[0] if too_few else cell.shown_interval()


def _below(task: TaskResult) -> Iterator[str]:
    """Lines below a task's rows: flags, the most frequent first, turns that were not asked, labels without an item."""
    if task.flags:
        most_frequent_first = sorted(task.flags.items(), key=lambda flag: (-flag[1], flag[0]))
        yield ", ".join(f"{n} {flag}" for flag, n in most_frequent_first)
    if task.not_asked:
        yield not_asked(task)
    if task.details.get("labels_without_gold"):
        yield labels_without_items(task)
    if "clusters" in task.details:
        many = "" if task.n_clusters == 1 else "s"
        yield f"intervals resample {task.n_clusters} {task.resampled}{many}, each with all of its items"


def labels_without_items(task: TaskResult) -> str:
    """Name the labels that no item has: "no item is labelled calm; means over labels are of the other 7"."""
    absent = task.details["labels_without_gold"]
    others = len(task.details["labels"]) - len(absent)
    return f"no item is labelled {' or '.join(absent)}; means over labels (uar, macro_f1) are of the other {others}"


def not_asked(task: TaskResult) -> str:
    """Count the turns, or pairs, that lack a stream that the condition needs: "12 turns have no face"."""
    one, many = ("pair", "pairs") if task.condition == "conflict" else ("turn", "turns")
    counts = (f"{n} {one} has {lack}" if n == 1 else f"{n} {many} have {lack}" for lack, n in task.not_asked.items())
    return f"not asked: {', '.join(counts)}"


def result_notes(result: RunResult) -> list[str]:
    """Reasons for doubt in a run's values, in sentences."""
    notes = [f"damage: {sentence}" for sentence in result.damage]
    if result.absent:
        count = f"{len(result.absent)} benchmark{'s' if len(result.absent) > 1 else ''} of the collection"
        notes.append(f"not here: the data of {count}; the same command asks them too when they are:")
        notes += [f"not here: {name}: {how}" for name, how in result.absent.items()]
    if result.partial:
        notes.append("partial: only some of the tasks' items were asked for (--limit, --ids or --where)")
    if result.n_errors:
        notes.append(
            f"provisional: {result.n_errors} items failed and are not scored; the same command asks them again "
            "(reasons: responses/*.jsonl)"
        )
    if result.n_missing:
        notes.append(f"provisional: {result.n_missing} items are not answered yet; the same command continues")
    if unjudged := sum(task.n_unjudged for task in result.tasks.values()):
        notes.append(
            f"provisional: {unjudged} replies are not judged yet; avemo-eval judge RUN --recognizer JUDGE, then "
            "avemo-eval score RUN"
        )
    if ungraded := sum(task.n_ungraded for task in result.tasks.values()):
        notes.append(
            f"provisional: {ungraded} answers have no grade, since they were not asked for yet or failed (reasons: "
            "scores/*.jsonl); avemo-eval grade RUN, then avemo-eval score RUN"
        )
    if result.judge is not None:
        notes += _judge_notes(result)
    notes += grader_notes(result)
    for task in result.tasks.values():
        if task.status == "skipped":
            notes.append(f"{task.task}: not asked, {task.reason}")
    return notes


def grader_notes(result: RunResult) -> list[str]:
    """Lines on the models that graded answers: by which rubric, and how far each agrees with people."""
    notes = []
    for task in result.tasks.values():
        if task.grader is None:
            continue
        notes.append(f"{task.task}: graded by {task.grader['shown']}")
        if people := task.details[RUBRIC]["people"]:
            found = (f"{name} {_agreement(people[key])}" for key, name in _AGREEMENT.items())
            notes.append(f"  against people on {people['n']} rated answers: {', '.join(found)}")
    return notes


_AGREEMENT = {"spearman": "Spearman", "ccc": "CCC", "mae": "mean absolute error"}


def _agreement(found: Mapping[str, Any]) -> str:
    """A value of agreement with its interval, or the note in place of one."""
    low, high = found["ci_low"], found["ci_high"]
    interval = found["note"] if low is None else span(low, high)
    return figure(found["value"]) + (f" ({interval})" if interval else "")


def _judge_notes(result: RunResult) -> list[str]:
    """Lines on the judge: its name, its card, and tasks whose scores are not comparable or were refused."""
    judge = result.judge
    assert judge is not None
    notes = [f"replies judged by: {judge.name} ({judge.digest[:12]})"]
    notes += ["  " + line for line in judge.card.get("lines", ())]
    for task in result.tasks.values():
        if not task.comparable:
            notes.append(
                f"{task.task}: not comparable: {judge.title} knows the demo's voices only; train one on people "
                "(avemo-eval recognizer train), then avemo-eval judge RUN --recognizer DIR"
            )
        refused = task.details.get("reasoning", {}).get("profile_refused")
        if refused:
            notes.append(f"{task.task}: replies are not scored: {refused}")
    return notes
