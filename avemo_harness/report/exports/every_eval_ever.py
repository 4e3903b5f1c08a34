"""One record of the Every Eval Ever schema (https://github.com/evaleval/every_eval_ever), version 0.3.0."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from avemo_harness.benchmark.task import GenerationSpec, TaskSpec
from avemo_harness.errors import UsageError
from avemo_harness.report.exports.formats import (
    HARNESS,
    LOWER_IS_BETTER,
    Publication,
    ReleaseSource,
    caveats,
    defined_metrics,
    model_id,
    model_name,
    release_of,
    scored_tasks,
    setup_notes,
)
from avemo_harness.report.results import TaskResult
from avemo_harness.report.scored_run import FinishedRun, finished_at
from avemo_harness.scorers.base import MetricValue
from avemo_harness.text import publishable

SCHEMA_VERSION = "0.3.0"
_METRIC_IDS = {"accuracy": "accuracy", "macro_f1": "f1_macro", "balanced_accuracy": "balanced_accuracy"}
"""Ids that others use too; the benchmark's own metrics are in a namespace of theirs."""

_HIGHEST = {"brier": 2.0}
"""Of metrics whose range is not [0, 1]."""


def every_eval_ever(run: FinishedRun, publication: Publication) -> dict[str, str]:
    """One file: the run, its model, and a result for each metric in [0, 1] (Brier: [0, 2]) that has a value.

    Raises:
        UsageError: there is nothing to export.
    """
    results = [
        _result(run, publication, task, result, name, metric, value)
        for task, result in scored_tasks(run)
        for name, metric, value in defined_metrics(result)
        if not name.endswith("_anchored")  # it has no least value, and the schema asks for one
    ]
    if not results:
        raise UsageError(f"{run.folder}: no task has scores that could be published")
    when = finished_at(run.folder)
    stamp = str(int(when.timestamp())) if when else "0"
    model = model_id(run, publication)
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{HARNESS}/{model.replace('/', '_')}/{stamp}",
        "retrieved_timestamp": stamp,
        "source_metadata": {
            "source_name": HARNESS,
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
            **({"additional_details": {"run": publication.source_url}} if publication.source_url else {}),
        },
        "eval_library": {"name": HARNESS, "version": _version()},
        "model_info": {
            "name": model_name(run),
            "id": model,
            "additional_details": {
                **publishable(run.result.identity),
                "deployment_type": "unknown",
                "model_availability": "unknown",
            },
        },
        "evaluation_results": results,
    }
    if when is not None:
        record["evaluation_timestamp"] = when.isoformat()
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    return {"every_eval_ever.json": text + "\n"}


def _result(
    run: FinishedRun,
    publication: Publication,
    task: TaskSpec,
    result: TaskResult,
    name: str,
    metric: MetricValue,
    value: float,
) -> dict[str, Any]:
    return {
        "evaluation_result_id": f"{task.task}/{name}",
        "evaluation_name": task.task,
        "source_data": _source(release_of(run, task, publication), result),
        "metric_config": {
            "metric_id": _METRIC_IDS.get(name, f"avemo.{name}"),
            "metric_name": name,
            "metric_unit": "proportion",
            "lower_is_better": name in LOWER_IS_BETTER,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": _HIGHEST.get(name, 1.0),
        },
        "score_details": {
            "score": value,
            "details": {
                "n_invalid": str(metric.n_invalid),
                "n_errors": str(metric.n_errors),
                **({"caveats": caveats(metric)} if metric.marks else {}),
            },
            "uncertainty": _uncertainty(run, metric),
        },
        "generation_config": {
            "generation_args": _generation(run.record.config.generation_of(task)),
            "additional_details": {"setup": setup_notes(run, task), "task_digest": result.digest},
        },
    }


def _source(release: ReleaseSource, result: TaskResult) -> dict[str, Any]:
    details = {"config": release.config, "fingerprint": release.fingerprint}
    if release.hub_id is None:
        return {"dataset_name": release.config, "source_type": "other", "additional_details": details}
    return {
        "dataset_name": release.config,
        "source_type": "hf_dataset",
        "hf_repo": release.hub_id,
        "hf_split": release.split,
        "samples_number": result.n_items,
        "additional_details": {**details, **({"revision": release.commit} if release.commit else {})},
    }


def _uncertainty(run: FinishedRun, metric: MetricValue) -> dict[str, Any]:
    uncertainty: dict[str, Any] = {
        "num_samples": metric.n,
        "num_bootstrap_samples": run.result.bootstrap["resamples"],
    }
    if metric.ci_low is not None and metric.ci_high is not None:
        uncertainty["confidence_interval"] = {
            "lower": metric.ci_low,
            "upper": metric.ci_high,
            "confidence_level": 0.95,
            "method": "over dialogues: bootstrap, of shares exact on an effective number of items",
        }
    return uncertainty


def _generation(settings: GenerationSpec) -> dict[str, Any]:
    sampled = {"temperature": settings.temperature, "top_p": settings.top_p} if settings.do_sample else {}
    return {"max_tokens": settings.max_new_tokens, **{name: x for name, x in sampled.items() if x is not None}}


def _version() -> str:
    try:
        return version(HARNESS)
    except PackageNotFoundError:
        return "unknown"
