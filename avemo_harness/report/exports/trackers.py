"""Log a run's metrics to an experiment tracker: trackio, or Weights & Biases, whose interface it shares."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

from avemo_harness.errors import UsageError
from avemo_harness.publishing import publishable
from avemo_harness.report.exports.exported import caveats, model_name, setup_notes
from avemo_harness.report.results import RunResult
from avemo_harness.report.results_file import FinishedRun

Tracker = Literal["trackio", "wandb"]


def log_to(tracker: Tracker, project: str, name: str, run: FinishedRun) -> None:
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


def settings(run: FinishedRun) -> dict[str, Any]:
    """What must be known beside the numbers, by path: the model, how each task was asked, and what leaves doubt."""
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
