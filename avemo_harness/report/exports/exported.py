"""What every export is made from: a finished run, and what the run itself does not know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.errors import UsageError
from avemo_harness.publishing import publishable
from avemo_harness.report.marks import sentences_of
from avemo_harness.report.results import TaskResult
from avemo_harness.report.results_file import FinishedRun
from avemo_harness.scorers import is_judged
from avemo_harness.scorers.base import Metric

HARNESS = "avemo-harness"
LOWER_IS_BETTER = frozenset({"ece", "brier"})

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Publication:
    """Where results are published.

    Args:
        model_id: of the model on the Hub.
        dataset_id: of the release on the Hub, where the run read a copy of it.
        source_url: where the run directory can be looked at.
    """

    model_id: str | None = None
    dataset_id: str | None = None
    source_url: str | None = None


@dataclass(frozen=True, slots=True)
class ReleaseSource:
    """The release that a task was asked of.

    Args:
        hub_id: None where it is not on the Hub.
    """

    source: str
    hub_id: str | None
    config: str
    split: str
    commit: str | None
    fingerprint: str


def refuse_unfinished(run: FinishedRun) -> None:
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
    if reasons:
        raise UsageError(
            f"{run.folder}: not exported, since {' and '.join(reasons)}; finish the run, or give --allow_partial, "
            "which says so in what is written"
        )


def scored_tasks(run: FinishedRun) -> Iterator[tuple[TaskSpec, TaskResult]]:
    """The tasks whose scores mean something to others: asked, scored, and not judged by the embedded judge."""
    for task in run.record.tasks:
        result = run.result.tasks[task.task]
        if result.status != "skipped" and result.metrics and result.comparable:
            yield task, result


def defined_metrics(result: TaskResult) -> Iterator[tuple[str, Metric, float]]:
    """The metrics of a task that have a value, with it."""
    for name, metric in result.metrics.items():
        if metric.value is not None:
            yield name, metric, metric.value


def release_of(run: FinishedRun, task: TaskSpec, publication: Publication) -> ReleaseSource:
    """The release of a task; one that was read from the Hub has a commit."""
    release = run.record.release_of(task)
    source, commit = str(release["source"]), release["commit"]
    hub_id = source if commit is not None and _HUB_ID.fullmatch(source) else publication.dataset_id
    return ReleaseSource(source, hub_id, task.dataset.name, task.dataset.split, commit, str(release["fingerprint"]))


def model_id(run: FinishedRun, publication: Publication) -> str:
    """The model's id on the Hub where it is known, else its name."""
    given = run.record.config.model_args.get("pretrained")
    if publication.model_id:
        return publication.model_id
    return given if isinstance(given, str) and _is_hub_id(given, run) else model_name(run)


def _is_hub_id(pretrained: str, run: FinishedRun) -> bool:
    """Whether weights came from the Hub, and not from a folder, here or on the machine that the run was made on."""
    hidden = any(part.startswith(".") for part in pretrained.split("/"))
    local = run.result.identity.get("weights", "").startswith("sha256:") or Path(pretrained).exists()
    return bool(_HUB_ID.fullmatch(pretrained)) and not hidden and not local


def model_name(run: FinishedRun) -> str:
    """What the model calls itself, of a served one its name on the server; else the name that it was run by."""
    return str(publishable(run.result.identity.get("model") or run.result.model))


def caveats(metric: Metric) -> str:
    """Of how many items a value is, and the sentences behind its marks: "n = 9; partial: …"."""
    return "; ".join([f"n = {metric.n}", *sentences_of([metric]).values()])


def setup_notes(run: FinishedRun, task: TaskSpec) -> str:
    """How a task was run, in a fixed order: condition, way of answering, judge, and whether anything is missing."""
    sampled = run.record.config.generation_of(task).do_sample
    parts = [task.condition.name.replace("_", "-"), "sampled" if sampled else "greedy"]
    if isinstance(task.output, LabelOutput):
        parts.append({"generate": "labels generated", "rank": "labels ranked"}[task.output.method])
    judge = run.result.judge
    parts.append(f"judge={publishable(judge.name)} {judge.digest[:12]}" if judge and is_judged(task) else "judge=none")
    if run.result.partial:
        parts.append("partial")
    if run.result.provisional:
        parts.append("provisional")
    return ", ".join(parts)
