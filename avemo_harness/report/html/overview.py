"""A run's figures for its page: the benchmark's table, what stands behind it, and everything that leaves doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from avemo_harness.benchmark.request import FLAGS
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.report.board import TITLES, boards, rated_columns
from avemo_harness.report.html.document import escaped, marked, share_bar, slopes, table
from avemo_harness.report.results import TaskResult
from avemo_harness.report.scored_run import BENCHMARK_SCALES, ScoredRun
from avemo_harness.report.summary import (
    defined_contrasts,
    grader_notes,
    labels_without_items,
    metric_columns,
    metric_rows,
    not_asked,
    rated_by,
    result_notes,
    run_states,
)
from avemo_harness.report.table import Table, metric_cell
from avemo_harness.report.values import UNDEFINED, figure, mark_of, shown_interval, shown_value, span_of
from avemo_harness.text import publishable

_SHADES = 9
_RATES = {"aar": "as heard (AAR)", "var": "as seen (VAR)", "olr": "neither (OLR)"}
CONDITIONS = {"full_av": "voice and face", "audio_only": "voice alone", "video_only": "face alone"}


def overview(run: ScoredRun) -> dict[str, Any]:
    """The values of the template `report.html.j2`, but for those of single turns."""
    result = run.result
    graders = grader_notes(result)
    told = (note for note in result_notes(result) if note not in graders)
    doubts = [note for note in told if not note.startswith(("replies judged by", "  "))]
    doubts += [f"{name}: {not_asked(task)}" for name, task in result.tasks.items() if task.not_asked]
    absent = [(name, task) for name, task in result.tasks.items() if task.details.get("labels_without_gold")]
    doubts += [f"{name}: {labels_without_items(task)}" for name, task in absent]
    return {
        "result": result,
        "folder": run.folder.resolve().name,
        "states": run_states(result),
        "releases": list(_releases(run)),
        "boards": [board for board in boards([run], [result.model]) if board.group in result.groups],
        "contrasts": lambda board: [
            (
                name,
                marked(shown_value(contrast, signed=True), mark_of(contrast)),
                shown_interval(contrast, signed=True),
                f"{contrast.n:,}",
            )
            for name, contrast in defined_contrasts(result.groups[board.group])
        ],
        "graders": [publishable(note.strip()) for note in graders],
        "people": list(_people(run)),
        "understanding": _understanding(run),
        "condition": _condition,
        "shade": lambda count, total: f"s{round(_SHADES * count / total) if total else 0}",
        "slopes": lambda results: slopes(
            {of_task.condition: of_task.metrics["accuracy"] for of_task in results if "accuracy" in of_task.metrics}
        ),
        "class_scores": _class_scores,
        "conflicts": list(_conflicts(run)),
        "doubts": doubts,
        "flags": [
            [name, f"{count:,}", flag.replace("_", " "), FLAGS.get(flag, "")]
            for name, task in result.tasks.items()
            for flag, count in (*task.flags.items(), *([("invalid", task.n_invalid)] if task.n_invalid else []))
        ],
        "all_metrics": _all_metrics(run),
        "setup": _setup(run),
    }


def _releases(run: ScoredRun) -> Iterator[str]:
    for release in run.record.releases:
        commit = f", commit {release.commit[:12]}" if release.commit else ""
        pairs = f" and {release.pairs:,} conflict pairs" if release.pairs else ""
        yield (
            f"{publishable(release.source)}, {release.name} ({release.split}): {release.dialogues:,} dialogues{pairs}"
            f"{commit}, content {release.fingerprint[:12]}"
        )


def _people(run: ScoredRun) -> Iterator[tuple[str, Table]]:
    """Scores that people gave replies to tasks of no group, or on other scales: no table of a group has them."""
    for people in run.people:
        if people.group not in run.result.groups or people.scales != BENCHMARK_SCALES:
            cells = {name: metric_cell(metric) for name, metric in rated_columns(people).items()}
            yield rated_by(people), Table("", tuple(cells), ((people.task, cells),))


def _understanding(run: ScoredRun) -> list[tuple[str, list[TaskResult]]]:
    """The understanding tasks of each group, by its title."""
    groups: dict[str, list[TaskResult]] = {}
    for task, result in _with_details(run, "labels", "confusion", "per_class"):
        groups.setdefault(task.group or task.task, []).append(result)
    return [(TITLES.get(name, name), results) for name, results in groups.items()]


def _with_details(run: ScoredRun, *names: str) -> Iterator[tuple[TaskSpec, TaskResult]]:
    """The tasks whose scorers gave all of some details."""
    for task in run.record.tasks:
        result = run.result.tasks[task.task]
        if result.details.keys() >= set(names):
            yield task, result


def _condition(result: TaskResult) -> str:
    return CONDITIONS.get(result.condition, result.task)


def _class_scores(tasks: Sequence[TaskResult]) -> Markup:
    rows = []
    for label in dict.fromkeys(label for of_task in tasks for label in of_task.details["labels"]):
        scores = [of_task.details["per_class"].get(label) for of_task in tasks]
        rows.append([label, *(figure(score["f1"]) if score else UNDEFINED for score in scores)])
    return table(["F1 of each label", *map(_condition, tasks)], rows)


def _conflicts(run: ScoredRun) -> Iterator[tuple[str, Markup]]:
    """Each conflict task with the table of its rates."""
    swatches = (Markup(f"<span class='swatch part{i}'></span>{name}") for i, name in enumerate(_RATES.values()))
    head = ["", *swatches, "n", ""]
    for task, result in _with_details(run, "per_pair", "per_direction"):
        rates = {name: metric.value for name, metric in result.metrics.items()}
        rows = [_conflict_row("all", rates, result.n_answered)]
        for part in ("per_pair", "per_direction"):
            rows += [_conflict_row(name, rates, rates["n"]) for name, rates in result.details[part].items()]
        yield task.task, table(head, rows)


def _conflict_row(name: str, rates: Mapping[str, Any], n: int) -> list[str]:
    values = list(map(rates.get, _RATES))
    return [name, *map(figure, values), f"{n:,}", share_bar([value for value in values if value is not None])]


def _all_metrics(run: ScoredRun) -> Markup:
    tasks = [run.result.tasks[task.task] for task in run.record.tasks]
    rows = metric_rows(tasks, lambda cell: span_of(cell.interval, "–") or UNDEFINED, "{:,}".format)
    return table(
        metric_columns(tasks),
        [[_task_head(task), name, marked(cell.text, cell.mark), *others] for task, name, cell, others in rows],
    )


def _task_head(task: TaskResult | None) -> str:
    if task is None or not task.not_asked:
        return task.task if task else ""
    return escaped(task.task) + Markup(f"<br><small>{escaped(not_asked(task))}</small>")


def _setup(run: ScoredRun) -> list[tuple[str, str]]:
    config = run.record.config
    units = dict.fromkeys(task.resampled for task in run.result.tasks.values())
    resampled = " or ".join(f"whole {unit}s" if unit == "dialogue" else f"{unit}s" for unit in units)
    return [
        ("model", " ".join([config.model, *(f"{k}={v}" for k, v in publishable(config.model_args).items())])),
        ("tasks", ", ".join(publishable(config.tasks))),
        *([("generation", str(dict(config.generation)))] if config.generation else []),
        ("seed", str(config.seed)),
        ("identity", ", ".join(f"{k} {v}" for k, v in publishable(run.result.identity).items())),
        ("intervals", f"95 %, {run.result.bootstrap['resamples']:,} resamples of {resampled}; shares: exact"),
        *((name, f"version {r.version}, digest {r.digest[:12]}") for name, r in run.result.tasks.items()),
    ]
