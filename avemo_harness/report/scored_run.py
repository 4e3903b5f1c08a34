"""A scored run item by item: what was asked, how each item was scored, what the judge said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.errors import StorageError, StoreError, UsageError
from avemo_harness.report.results_file import read_results
from avemo_harness.run.config import RunRecord, read_run
from avemo_harness.run.judgements import Place, chosen_judgements
from avemo_harness.run.lines import parse_line
from avemo_harness.scorers.judged import Judge, Judged

UNSCORED = frozenset({"error", "missing", "unjudged"})
"""Verdicts of items that have no score."""


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """A line of `scores/<task>.jsonl`; the fields are those of `avemo_harness.scorers.base.ScoreLine`."""

    item: str
    cluster: str
    gold: str | None
    audio_label: str | None
    video_label: str | None
    label: str | None
    verdict: str
    why: str
    values: Mapping[str, float | None]

    @property
    def scored(self) -> bool:
        return self.verdict not in UNSCORED


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """A run directory that `score` has written.

    Args:
        items: of each task that was asked, by item id in the order of the file.
        judged: what the chosen recogniser said of each reply; empty where none was asked.
    """

    folder: Path
    record: RunRecord
    items: Mapping[str, Mapping[str, ScoredItem]]
    judge: Judge | None
    judged: Mapping[Place, Judged]

    def task(self, name: str) -> TaskSpec:
        return next(task for task in self.record.tasks if task.task == name)


def read_scored_run(folder: Path) -> ScoredRun:
    """Read a run directory.

    Raises:
        UsageError: it is not a run, was not scored yet, or was judged by another recogniser since.
        StoreError: a file of it is damaged.
    """
    record = read_run(folder)
    judgements = chosen_judgements(folder)
    scored_by = read_results(folder).judge
    if (judgements and judgements.judge.digest) != (scored_by and scored_by.digest):
        raise UsageError(f"{folder}: replies were judged again since the run was scored; avemo-eval score {folder}")
    asked = [task.task for task in record.tasks if task.task not in record.skipped and task.scorers]
    return ScoredRun(
        folder=folder,
        record=record,
        items={task: _read_items(folder / "scores" / f"{task}.jsonl") for task in asked},
        judge=judgements.judge if judgements else None,
        judged=judgements.read() if judgements else {},
    )


def _read_items(path: Path) -> dict[str, ScoredItem]:
    if not path.exists():
        raise UsageError(f"{path}: there is no such file; score the run first: avemo-eval score {path.parents[1]}")
    try:
        lines = [parse_line(line) for line in path.read_bytes().splitlines()]
        return {line["item"]: _item(line) for line in lines}
    except OSError as error:
        raise StorageError(path, "read", error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path}: damaged ({error}); score the run again: avemo-eval score {path.parents[1]}"
        ) from error


def _item(line: Mapping[str, Any]) -> ScoredItem:
    return ScoredItem(
        item=line["item"],
        cluster=line["cluster"],
        gold=line["gold"],
        audio_label=line["audio_label"],
        video_label=line["video_label"],
        label=line["label"],
        verdict=line["verdict"],
        why=line["why"],
        values=line.get("values", {}),
    )
