"""``eval.yaml``: which leaderboards the Hub shows for a data set.

The format is described in the Hub's documentation under "Evaluation Results": a name, a description, the framework that
the figures are of, and a list of tasks with an id, a config and a split each.
"""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.build.sharing.contents import Contents

FILE = "eval.yaml"
FRAMEWORK = "avemo-harness"


def tasks_of(contents: Contents, known: Sequence[TaskSpec]) -> list[TaskSpec]:
    """The tasks that can be asked of a release and have one figure that stands for them."""
    return [spec for spec in known if spec.headline is not None and _can_be_asked(contents, spec)]


def _can_be_asked(contents: Contents, spec: TaskSpec) -> bool:
    release = contents.configs.get(spec.dataset.name, {}).get(spec.dataset.split)
    if release is None or spec.dataset.path is not None:
        return False
    return bool(release.pairs) or spec.condition.name != "conflict"


def leaderboard_file(title: str, description: str, tasks: Sequence[TaskSpec]) -> str:
    """The file's text; one leaderboard a task, of its headline metric.

    Args:
        tasks: at least one.
    """
    values = {
        "name": title,
        "description": description,
        "evaluation_framework": FRAMEWORK,
        "tasks": [{"id": spec.task, "config": spec.dataset.name, "split": spec.dataset.split} for spec in tasks],
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
