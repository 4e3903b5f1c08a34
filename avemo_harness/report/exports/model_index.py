"""The `model-index` front matter of a model card, which the Hub reads and `.eval_results` succeeds."""

from __future__ import annotations

from typing import Any

from avemo_harness.errors import UsageError
from avemo_harness.report.exports.formats import (
    HARNESS,
    Publication,
    caveats,
    defined_metrics,
    model_id,
    release_of,
    scored_tasks,
    setup_notes,
)
from avemo_harness.report.scored_run import FinishedRun

TASK_TYPE = "any-to-any"


def model_index(run: FinishedRun, publication: Publication) -> dict[str, str]:
    """One file with the front matter, to be merged into the card's own.

    Raises:
        UsageError: there is nothing to export.
    """
    import yaml

    results: list[dict[str, Any]] = []
    for task, result in scored_tasks(run):
        release = release_of(run, task, publication)
        entry: dict[str, Any] = {
            "task": {"type": TASK_TYPE, "name": task.task},
            "dataset": {
                "type": release.hub_id or release.config,
                "name": f"AV-EMO-Reasoning {release.config}",
                # The Hub's library joins entries of one config; a leaderboard's task has an entry of its own.
                "config": task.task,
                "split": release.split,
                **({"revision": release.commit} if release.commit else {}),
                "args": {"config": release.config, "setup": setup_notes(run, task)},
            },
            "metrics": [
                {"type": name, "name": f"{name} ({caveats(metric)})" if metric.marks else name, "value": value}
                for name, metric, value in defined_metrics(result)
            ],
        }
        if publication.source_url:
            entry["source"] = {"name": HARNESS, "url": publication.source_url}
        results.append(entry)
    if not results:
        raise UsageError(f"{run.folder}: no task has scores that could be published")
    name = model_id(run, publication).rpartition("/")[2]
    content = yaml.safe_dump({"model-index": [{"name": name, "results": results}]}, sort_keys=False, allow_unicode=True)
    return {"model-index.md": f"---\n{content}---\n"}
