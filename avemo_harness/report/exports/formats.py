"""A finished run as eval-results of the Hub, as CSV, and as a log of an experiment tracker."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from avemo_harness.benchmark.task import ChoiceOutput, LabelOutput, TaskSpec
from avemo_harness.errors import UsageError
from avemo_harness.report.board import Board, boards
from avemo_harness.report.exports import Publication
from avemo_harness.report.results import RunResult, TaskResult
from avemo_harness.report.scored_run import ScoredRun, finished_at
from avemo_harness.report.values import mark_of, sentences_of, shown_interval, shown_value
from avemo_harness.scorers import is_judged
from avemo_harness.scorers.base import MetricValue
from avemo_harness.scorers.metric import RUBRIC
from avemo_harness.text import publishable, safe_cell

HARNESS = "avemo-harness"

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def refuse_unfinished(run: ScoredRun) -> None:
    """Refuse a run whose scores are of some items only, or may still change.

    Raises:
        UsageError: says what is missing and how to go on.
    """
    result = run.result
    reasons = [
        *(["only some of the items were asked for"] if result.partial else []),
        *([f"{result.n_errors} items failed"] if result.n_errors else []),
        *([f"{result.n_missing} items are not answered yet"] if result.n_missing else []),
    ]
    if unjudged := sum(task.n_unjudged for task in result.tasks.values()):
        reasons.append(f"{unjudged} replies are not judged yet")
    if ungraded := sum(task.n_ungraded for task in result.tasks.values()):
        reasons.append(f"{ungraded} answers are not graded yet")
    if reasons:
        raise UsageError(
            f"{run.folder}: not exported, since {' and '.join(reasons)}; finish the run, or give --allow_partial, "
            "which says so in what is written"
        )


def scored_tasks(run: ScoredRun) -> Iterator[tuple[TaskSpec, TaskResult]]:
    """The tasks whose scores mean something to others: asked, scored, and judged by a judge that knows its voices."""
    for task in run.record.tasks:
        result = run.result.tasks[task.task]
        if result.status != "skipped" and result.metrics and result.comparable:
            yield task, result


def release_id(run: ScoredRun, task: TaskSpec, publication: Publication) -> str | None:
    """The id of a task's release on the Hub; None where it is not there. One that was read from it has a commit."""
    release = run.record.release_of(task)
    read_from_hub = release.commit is not None and _HUB_ID.fullmatch(release.source)
    return release.source if read_from_hub else publication.dataset_id


def model_id(run: ScoredRun, publication: Publication) -> str:
    """The model's id on the Hub where it is known, else its name."""
    given = run.record.config.model_args.get("pretrained")
    if publication.model_id:
        return publication.model_id
    return given if isinstance(given, str) and _is_hub_id(given, run) else model_name(run)


def _is_hub_id(pretrained: str, run: ScoredRun) -> bool:
    """Tell weights of the Hub from those of a folder, here or on the machine that the run was made on."""
    hidden = any(part.startswith(".") for part in pretrained.split("/"))
    local = run.result.identity.get("weights", "").startswith("sha256:") or Path(pretrained).exists()
    return bool(_HUB_ID.fullmatch(pretrained)) and not hidden and not local


def model_name(run: ScoredRun) -> str:
    """The model's own name, of a served one that on its server; else the name that it was run by."""
    return str(publishable(run.result.identity.get("model") or run.result.model))


def boards_with_rows(run: ScoredRun, publication: Publication) -> list[Board]:
    """The benchmark's table of each split that the run has a row of.

    Raises:
        UsageError: no task belongs to a group, which is what a row is of.
    """
    found = [board for board in boards([run], [publication.model_id or model_name(run)]) if board.rows]
    if not found:
        raise UsageError(f"{run.folder}: none of its tasks belongs to a group, so there is no row; take --format csv")
    return found


def caveats(metric: MetricValue) -> str:
    """Of how many items a value is, and the sentences behind its marks: "n = 9; partial: …"."""
    return "; ".join([f"n = {metric.n}", *sentences_of([metric]).values()])


def setup_notes(run: ScoredRun, task: TaskSpec) -> str:
    """The setup of a task in a fixed order: condition, way of answering, judge, and whether anything is missing."""
    sampled = run.record.config.generation_of(task).do_sample
    parts = [task.condition.name.replace("_", "-"), "sampled" if sampled else "greedy"]
    if isinstance(task.output, LabelOutput | ChoiceOutput):
        named = "labels" if isinstance(task.output, LabelOutput) else "letters"
        parts.append({"generate": f"{named} generated", "rank": f"{named} ranked"}[task.output.method])
    if isinstance(task.output, ChoiceOutput):
        parts.append(f"options {task.output.order}")
    # A grader is named below, by what its results hold; its parameters may hold addresses.
    told = [scorer for scorer in task.scorers if scorer.parameters and scorer.name != RUBRIC]
    parts += [f"{scorer.name}: {_given(scorer.parameters)}" for scorer in told]
    judge = run.result.judge
    parts.append(f"judge={publishable(judge.name)} {judge.digest[:12]}" if judge and is_judged(task) else "judge=none")
    if (grader := run.result.tasks[task.task].grader) is not None:
        parts.append(f"grader={publishable(grader['shown'])}")
    if run.result.partial:
        parts.append("partial")
    if run.result.provisional:
        parts.append("provisional")
    return ", ".join(parts)


def _given(parameters: Mapping[str, Any]) -> str:
    """Parameters of a scorer in a cell, long ones by their beginning."""
    return publishable(" ".join(f"{name}={str(value)[:40]}" for name, value in sorted(parameters.items())))


def eval_results(run: ScoredRun, publication: Publication) -> dict[str, str]:
    """The files, by their paths in the model's repository.

    Raises:
        UsageError: the release is not on the Hub, or no task has a headline to export.
    """
    import yaml

    files = {}
    for task, result in scored_tasks(run):
        metric = result.metrics.get(task.headline or "")
        if metric is None or metric.value is None:
            continue
        release, release_on_hub = run.record.release_of(task), release_id(run, task, publication)
        if release_on_hub is None:
            raise UsageError(
                f"{task.task} was asked of {release.source}, which is not on the Hub; name where the same release is: "
                "--dataset_id OWNER/NAME"
            )
        dataset = {"id": release_on_hub, "task_id": task.task}
        if release.commit is not None:
            dataset["revision"] = release.commit
        entry: dict[str, Any] = {
            "dataset": dataset,
            "value": metric.value,
            "notes": f"{setup_notes(run, task)}; {caveats(metric)}",
        }
        if (when := finished_at(run.folder)) is not None:
            entry["date"] = when.strftime("%Y-%m-%dT%H:%M:%SZ")
        if publication.source_url:
            entry["source"] = {"url": publication.source_url, "name": HARNESS}
        files[f".eval_results/avemo_{task.task}.yaml"] = yaml.safe_dump([entry], sort_keys=False, allow_unicode=True)
    if not files:
        raise UsageError(f"{run.folder}: no task has a headline that could be published")
    return files


HEADER = (
    *("model", "task", "group", "condition", "metric", "value", "ci_low", "ci_high"),
    *("n", "n_undefined", "n_invalid", "n_errors", "n_dialogues", "status", "comparable", "release", "setup"),
    *("shown", "interval", "marks", "caveats"),
)


def spreadsheet(run: ScoredRun, publication: Publication) -> dict[str, str]:
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
        source = release_id(run, task, publication) or publishable(run.record.release_of(task).source)
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


Tracker = Literal["trackio", "wandb"]


def log_to(tracker: Tracker, project: str, name: str, run: ScoredRun) -> None:
    """Log every metric that has a value as ``task/metric``, with its interval and counts, and how it was measured.

    Args:
        project: of the tracker.
        name: what the tracker calls the run.

    Raises:
        UsageError: the tracker's package is not installed.
    """
    try:
        package = import_module(tracker)
    except ImportError as error:
        raise UsageError(f"--{tracker} needs the package {tracker}: pip install {tracker}") from error
    package.init(project=project, name=name, config=settings(run))
    package.log(flat_metrics(run.result))
    package.finish()


def settings(run: ScoredRun) -> dict[str, Any]:
    """Settings and caveats beside the numbers, by path: of the model, and of each task."""
    result = run.result
    settings: dict[str, Any] = {"model": model_name(run), "partial": result.partial, "provisional": result.provisional}
    settings.update({f"identity/{key}": value for key, value in publishable(result.identity).items()})
    for task in run.record.tasks:
        if result.tasks[task.task].status != "skipped":
            settings[f"{task.task}/comparable"] = result.tasks[task.task].comparable
            settings[f"{task.task}/setup"] = setup_notes(run, task)
            for name, metric in result.tasks[task.task].metrics.items():
                if metric.marks:
                    settings[f"{task.task}/{name}/caveats"] = caveats(metric)
    return settings


def flat_metrics(result: RunResult) -> dict[str, float]:
    """Numbers by path, such as ``demo_full_av/accuracy`` and ``demo_full_av/accuracy/ci_low``."""
    numbers: dict[str, float] = {}
    for task in result.tasks.values():
        if task.status == "skipped":
            continue
        for name, metric in task.metrics.items():
            parts = {"": metric.value, "/ci_low": metric.ci_low, "/ci_high": metric.ci_high, "/n": float(metric.n)}
            numbers.update({f"{task.task}/{name}{end}": value for end, value in parts.items() if value is not None})
        numbers[f"{task.task}/n_errors"] = float(task.n_errors)
    return numbers
