"""Read back a scored run: results.json, score lines, ratings by people; and name runs side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.published import PEOPLE
from avemo_harness.benchmark.request import ItemKey
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.errors import StorageError, StoreError, UsageError
from avemo_harness.report.results import RESULTS_SCHEMA, RunResult
from avemo_harness.run.config import RunRecord, read_run
from avemo_harness.run.gradings import chosen_gradings
from avemo_harness.run.json_files import parse_line, read_sealed_json, read_timing
from avemo_harness.run.judging import Judgements, chosen_judgements
from avemo_harness.scorers.base import Judgement, MetricValue, ScoreLine

RATED = "human"
"""Folder of a run with what people gave its replies: a file for each task and wording of the scales."""
BENCHMARK_SCALES = "av-emo-2"
"""The wording of the three scales whose ratings are `PEOPLE`."""
FIRST_SCALES = "av-emo-1"
"""The wording before scales had a version; it asked for something else, under the names of the benchmark's columns."""
_FIRST_COLUMNS = ("emotional response (v1)", "emotional naturalness (v1)", "relevance (v1)", "mean (v1)")


@dataclass(frozen=True, slots=True)
class PeopleScores:
    """Ratings of a run's replies to one task by people, from `human/<task>.json`.

    Args:
        task: whose replies were rated.
        group: the group that the task belongs to, in whose row the scores stand; None for a task on its own.
        complete: every item has as many raters as planned.
        raters: how many people's ratings count.
        excluded: how many were left out by the plan's rules.
        columns: the three scales and their mean, named by `people_columns`.
        scales: the wording that the ratings were given on.
    """

    task: str
    group: str | None
    complete: bool
    raters: int
    excluded: int
    columns: Mapping[str, MetricValue]
    scales: str = BENCHMARK_SCALES


@dataclass(frozen=True)
class ScoredRun:
    """A run directory that `score` has written; score lines and judgements are read when they are first asked for.

    Args:
        people: by task and wording of the scales, those whose replies were rated.
    """

    folder: Path
    record: RunRecord
    result: RunResult
    people: tuple[PeopleScores, ...]

    def task(self, name: str) -> TaskSpec:
        return next(task for task in self.record.tasks if task.task == name)

    @property
    def asked(self) -> list[TaskSpec]:
        return [task for task in self.record.tasks if task.task not in self.record.skipped]

    def people_of(self, group: str) -> PeopleScores | None:
        """People's ratings of a group's replies on the benchmark's scales; None where nobody rated them."""
        return next(
            (scores for scores in self.people if scores.group == group and scores.scales == BENCHMARK_SCALES), None
        )

    @cached_property
    def lines(self) -> Mapping[str, Mapping[str, ScoreLine]]:
        """Of each scored task, by item id in the order of the file.

        Raises:
            UsageError: a file is missing.
            StoreError: a file is damaged.
        """
        return {
            task.task: _read_lines(self.folder / "scores" / f"{task.task}.jsonl") for task in self.asked if task.scorers
        }

    @cached_property
    def judged(self) -> Mapping[ItemKey, Judgement]:
        """Judgements of the replies that the scores are made of; empty where no recogniser was asked.

        Raises:
            UsageError: the replies were judged by another recogniser since.
            StoreError: a file is damaged.
        """
        judgements = self._judgements()
        return judgements.read() if judgements else {}

    def refuse_other_judge(self) -> None:
        """Refuse a run whose answers were judged or graded by another since it was scored (UsageError)."""
        self._judgements()
        for task, gradings in chosen_gradings(self.folder).items():
            result = self.result.tasks.get(task)
            scored_by = result and result.grader and result.grader["digest"]
            if result is not None and result.n_answered and scored_by != gradings.grader.digest:
                raise UsageError(
                    f"{self.folder}: answers to {task} were graded again since the run was scored; avemo-eval score "
                    f"{self.folder}"
                )

    def _judgements(self) -> Judgements | None:
        judgements, scored_by = chosen_judgements(self.folder), self.result.judge
        if (judgements and judgements.judge.digest) != (scored_by and scored_by.digest):
            raise UsageError(
                f"{self.folder}: replies were judged again since the run was scored; avemo-eval score {self.folder}"
            )
        return judgements


def people_columns(scales: str) -> tuple[str, ...]:
    """Names of three scales and their mean: `PEOPLE` for the benchmark's wording, names of their own for any other.

    >>> people_columns("av-emo-2")
    ('ER', 'EN', 'RR', 'ERS')
    >>> people_columns("av-emo-1")[0], people_columns("lab")[0]
    ('emotional response (v1)', 'ER (lab)')
    """
    known = {BENCHMARK_SCALES: PEOPLE, FIRST_SCALES: _FIRST_COLUMNS}
    return known[scales] if scales in known else tuple(f"{name} ({scales})" for name in PEOPLE)


def read_scored_run(folder: Path) -> ScoredRun:
    """Read a run directory's record and results; tasks and columns are in the order of the run.

    Raises:
        UsageError: it is not a run, or was not scored by this version.
        StoreError: a file of it is damaged.
    """
    record = read_run(folder)
    return ScoredRun(folder, record, _in_order(_read_results(folder), record), read_people(folder))


def finished_at(folder: Path) -> datetime | None:
    """When the last answers were stored, in UTC and whole seconds; None where the run does not say.

    Raises:
        StoreError: `timing.json` is damaged.
    """
    ends = [timing.started + timing.seconds for timing in read_timing(folder) if timing.stage == "asking"]
    return datetime.fromtimestamp(int(max(ends)), tz=timezone.utc) if ends else None


def read_people(folder: Path) -> tuple[PeopleScores, ...]:
    """Read people's ratings of a run's replies, by task and wording of the scales; nothing where there are none.

    Files from before scales had a version hold ratings on the first wording, whatever they call them.

    Raises:
        StoreError: a file is damaged.
    """
    return tuple(map(_read_scores, sorted((folder / RATED).glob("*.json"))))


def _read_scores(path: Path) -> PeopleScores:
    again = "analyze the study again: avemo-eval human analyze STUDY"
    values = _read_json(path, again)
    try:
        scales = str(values.get("scales", FIRST_SCALES))
        names = people_columns(scales)
        stored = zip(names, names if "scales" in values else PEOPLE, strict=True)
        return PeopleScores(
            task=str(values["task"]),
            group=values["group"],
            complete=bool(values["complete"]),
            raters=int(values["raters"]),
            excluded=int(values["excluded"]),
            columns={name: MetricValue(**values["columns"][stored_as]) for name, stored_as in stored},
            scales=scales,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: damaged ({error!r}); {again}") from error


def _read_results(folder: Path) -> RunResult:
    """Read a run directory's results, with their keys in the order of the file.

    Raises:
        UsageError: it was not scored by this version.
        StoreError: the file is damaged.
    """
    path = folder / "results.json"
    again = f"score the run: avemo-eval score {folder}"
    if not path.exists():
        raise UsageError(f"{path}: there is no such file; {again}")
    values = _read_json(path, again)
    if values.get("schema_version") != RESULTS_SCHEMA:
        raise UsageError(f"{path}: schema version {values.get('schema_version')}, expected {RESULTS_SCHEMA}; {again}")
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(RunResult).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"{path}: damaged at {where} ({first['msg']}); {again}") from error


def _in_order(result: RunResult, record: RunRecord) -> RunResult:
    """The file's keys are sorted; a table's are not."""
    groups = {
        group.group: replace(
            of_group := result.groups[group.group],
            columns={column.name: of_group.columns.get(column.name) for column in group.columns},
        )
        for group in record.groups
        if group.group in result.groups
    }
    tasks = {}
    for task in record.tasks:
        if (of_task := result.tasks.get(task.task)) is not None:
            names = [name for scorer in task.scorers for name in scorer.metrics if name in of_task.metrics]
            tasks[task.task] = replace(of_task, metrics={name: of_task.metrics[name] for name in names})
    return replace(result, tasks=tasks, groups=groups)


def _read_json(path: Path, again: str) -> dict[str, Any]:
    try:
        return read_sealed_json(path)
    except ValueError as error:
        raise StoreError(f"{path}: cannot be read ({error}); {again}") from error


def _read_lines(path: Path) -> dict[str, ScoreLine]:
    if not path.exists():
        raise UsageError(f"{path}: there is no such file; score the run first: avemo-eval score {path.parents[1]}")
    try:
        lines = [ScoreLine.from_json(parse_line(line)) for line in path.read_bytes().splitlines()]
        return {line.item: line for line in lines}
    except OSError as error:
        raise StorageError(path, "read", error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path}: damaged ({error}); score the run again: avemo-eval score {path.parents[1]}"
        ) from error


def run_labels(runs: Sequence[tuple[str, Path]]) -> list[str]:
    """A distinct name for each model and folder: the model, with its folder where models share a name.

    >>> run_labels([("random", Path("/a")), ("mine", Path("/x/b")), ("mine", Path("/x/c"))])
    ['random', 'mine (b)', 'mine (c)']
    """
    models = Counter(model for model, _ in runs)
    folders = Counter((model, folder.resolve().name) for model, folder in runs)
    labels = []
    for model, folder in runs:
        path = folder.resolve()
        if models[model] == 1:
            labels.append(model)
        else:
            labels.append(f"{model} ({path.name if folders[model, path.name] == 1 else path})")
    return labels
