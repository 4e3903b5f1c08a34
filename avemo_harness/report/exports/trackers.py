"""Log a run's metrics to an experiment tracker: trackio, or Weights & Biases, whose interface it shares."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

from avemo_harness.errors import UsageError
from avemo_harness.report.results import RunResult

Tracker = Literal["trackio", "wandb"]


def log_to(tracker: Tracker, project: str, name: str, result: RunResult) -> None:
    """Log every metric that has a value as ``task/metric``, with its interval and counts.

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
    config = {"model": result.model, **{f"identity/{key}": value for key, value in result.identity.items()}}
    package.init(project=project, name=name, config=config)
    package.log(flat_metrics(result))
    package.finish()


def flat_metrics(result: RunResult) -> dict[str, float]:
    """Numbers by path, such as ``demo_full_av/accuracy`` and ``demo_full_av/accuracy/ci_low``."""
    numbers: dict[str, float] = {}
    for task in result.tasks.values():
        if task.status == "skipped":
            continue
        for name, metric in task.metrics.items():
            parts = {"": metric.value, "/ci_low": metric.ci_low, "/ci_high": metric.ci_high}
            numbers.update({f"{task.task}/{name}{end}": value for end, value in parts.items() if value is not None})
        numbers[f"{task.task}/n_errors"] = float(task.n_errors)
    return numbers
