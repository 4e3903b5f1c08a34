"""`.eval_results/*.yaml` of a model's repository on the Hub: one headline value a task, a file each.

The format is that of https://huggingface.co/docs/hub/eval-results.
"""

from __future__ import annotations

from typing import Any

from avemo_harness.errors import UsageError
from avemo_harness.report.exports.exported import HARNESS, Publication, caveats, release_of, scored_tasks, setup_notes
from avemo_harness.report.results_file import FinishedRun, finished_at


def eval_results(run: FinishedRun, publication: Publication) -> dict[str, str]:
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
        release = release_of(run, task, publication)
        if release.hub_id is None:
            raise UsageError(
                f"{task.task} was asked of {release.source}, which is not on the Hub; name where the same release is: "
                "--dataset_id OWNER/NAME"
            )
        dataset = {"id": release.hub_id, "task_id": task.task}
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
