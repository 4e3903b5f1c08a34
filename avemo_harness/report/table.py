"""A run's results as plain text: one row a split in the order of the benchmark's table, and what stands behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from avemo_harness.report.results import GroupResult, RunResult, TaskResult
from avemo_harness.report.results_file import BENCHMARK_SCALES, PEOPLE, PeopleScores
from avemo_harness.scorers.base import Metric
from avemo_harness.text_table import aligned

NOT_ASKED = "—"


def format_results(result: RunResult, people: Sequence[PeopleScores] = ()) -> str:
    """Lay out a run's results for a terminal of 80 columns or more.

    Args:
        people: what people gave the replies, by task and wording of the scales; each joins the rows of its group.
    """
    parts = [part for group in result.groups.values() for part in _parts(group, result, people)]
    parts += [_format_people(one, result.model) for one in people if one.group not in result.groups]
    parts.append(_format_tasks(list(result.tasks.values())))
    notes = result_notes(result)
    return "\n\n".join([*parts, "\n".join(notes)] if notes else parts)


def _parts(group: GroupResult, result: RunResult, people: Sequence[PeopleScores]) -> Iterator[str]:
    yield _format_group(group, result)
    yield from (_format_people(one, group.row) for one in people if one.group == group.group)


def _format_group(group: GroupResult, result: RunResult) -> str:
    scored_by_judge = [name for name in group.columns if any(row.get(name) for row in group.trivial.values())]
    labelled = [name for name in group.columns if name not in scored_by_judge]
    lines = [group.title + _mark(result)]
    if scored_by_judge:
        trivial = [[name, *_values(row, scored_by_judge)] for name, row in group.trivial.items()]
        lines += [*aligned([*_model_rows(group, scored_by_judge), *trivial]), ""]
    if labelled:
        lines += aligned(_model_rows(group, labelled))
    if group.fusion_gain is not None and group.fusion_gain.value is not None:
        gain = group.fusion_gain
        lines.append(f"Acc_AV - max(Acc_A, Acc_V): {gain.value:+.3f}  {_interval(gain)}  paired, {gain.n} turns")
    return "\n".join(lines)


def rated_by(people: PeopleScores) -> str:
    """Which replies how many people rated, and whether more ratings are to come."""
    left_out = f", {people.excluded} left out" if people.excluded else ""
    mark = "" if people.complete else "  (provisional: some items have fewer raters than planned)"
    scales = "" if people.scales == BENCHMARK_SCALES else f" on other scales ({people.scales}), no {', '.join(PEOPLE)}"
    return f"{people.task}, rated by {people.raters} people{left_out}{scales}{mark}"


def _format_people(people: PeopleScores, model: str) -> str:
    rows = [
        ["model", *people.columns],
        [model, *_values(people.columns, tuple(people.columns))],
        ["95 % interval", *map(_interval, people.columns.values())],
    ]
    return "\n".join([rated_by(people), *aligned(rows)])


def _model_rows(group: GroupResult, names: Sequence[str]) -> list[list[str]]:
    intervals = [_interval(group.columns[name]) for name in names]
    return [["model", *names], [group.row, *_values(group.columns, names)], ["95 % interval", *intervals]]


def _values(metrics: Mapping[str, Metric | None], names: Sequence[str]) -> list[str]:
    return [_value(metrics.get(name)) for name in names]


def _format_tasks(tasks: Sequence[TaskResult]) -> str:
    header = ["task", "metric", "value", "95 % interval", "n", "dialogues", "invalid", "errors", "missing"]
    rows = [_task_rows(task) for task in tasks]
    table = iter(aligned([header, *(row for of_task in rows for row in of_task)]))
    lines = list(islice(table, 2))
    for task, of_task in zip(tasks, rows, strict=True):
        lines += islice(table, len(of_task))
        if task.flags:
            most_frequent_first = sorted(task.flags.items(), key=lambda flag: (-flag[1], flag[0]))
            lines.append("  " + ", ".join(f"{n} {flag}" for flag, n in most_frequent_first))
    return "\n".join(lines)


def _task_rows(task: TaskResult) -> list[list[str]]:
    """A row for each metric; the first has the task's name and counts."""
    if task.status == "skipped":
        return [[task.task, *[NOT_ASKED] * 8]]
    shown = [[name, _value(metric), _interval(metric)] for name, metric in task.metrics.items()]
    if task.n_spoken is not None and "coverage" not in task.metrics:
        shown.append(["spoken", f"{task.n_spoken}/{task.n_answered}", NOT_ASKED])
    first, *others = shown or [["(no scorer)", NOT_ASKED, NOT_ASKED]]
    counts = [task.n_answered, task.n_clusters, task.n_invalid, task.n_errors, task.n_missing]
    return [[task.task, *first, *map(str, counts)], *(["", *other, *[""] * len(counts)] for other in others)]


def result_notes(result: RunResult) -> list[str]:
    """What a reader must know of a run before holding its figures against others, in sentences."""
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
    if unjudged := sum(task.n_unjudged for task in result.tasks.values()):
        notes.append(
            f"provisional: {unjudged} replies are not judged yet; avemo-eval judge RUN, then avemo-eval score RUN"
        )
    if result.judge is not None:
        notes += _judge_notes(result)
    for task in result.tasks.values():
        if task.status == "skipped":
            notes.append(f"{task.task}: not asked, {task.reason}")
    return notes


def _judge_notes(result: RunResult) -> list[str]:
    """Who judged the replies, what is known of that judge, and of which tasks it says nothing that can be compared."""
    judge = result.judge
    assert judge is not None
    notes = [f"replies judged by: {judge.name} ({judge.digest[:12]})"]
    notes += ["  " + line for line in judge.card.get("lines", ())]
    for task in result.tasks.values():
        if not task.comparable:
            notes.append(
                f"{task.task}: not comparable: the embedded judge knows the demo's voices only; train one on people "
                "(avemo-eval recognizer train), then avemo-eval judge RUN --recognizer DIR"
            )
        refused = task.details.get("reasoning", {}).get("profile_refused")
        if refused:
            notes.append(f"{task.task}: replies are not scored: {refused}")
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
