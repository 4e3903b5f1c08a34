"""Marks of cells: letters that keep a value from being held against its neighbours, each with its sentence.

They are set once, where results are computed, and stored with them (`Metric.marks`, `RunResult.marks`); whatever shows
a value prints them. Capitals mean the same in every run. What a run alone cannot know, such as that another row of a
board was judged by somebody else, `avemo_harness.report.board_marks` adds in small letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics.bootstrap import APPROXIMATE, CONSTANT, TOO_FEW
from avemo_harness.metrics.raters import TOO_FEW_OR_RATERS
from avemo_harness.scorers.base import Metric
from avemo_harness.scorers.modality_preference import TOO_FEW_GROUPS

if TYPE_CHECKING:
    from avemo_harness.report.results import TaskResult

DEMO_JUDGE, PARTIAL, PROVISIONAL, MIXED_VIEWS = "D", "P", "U", "V"
FEW_DIALOGUES, FEW_GROUPS, APPROXIMATE_INTERVAL, UNVARIED, NOTED = "F", "G", "A", "C", "N"
FEW_RATERS = "R"

SENTENCES: Mapping[str, str] = {
    DEMO_JUDGE: "judged by the demo's judge, which knows the demo's voices only: to be held against nothing",
    PARTIAL: "partial: only some of the items were asked for",
    PROVISIONAL: "unfinished, provisional: items failed, or are not answered or not judged yet",
    MIXED_VIEWS: "users judged by unlike streams (sound and face, sound alone, face alone): a mean over unlike values",
    FEW_DIALOGUES: "too few dialogues, or raters, for an interval: fewer than 5 have a value",
    FEW_GROUPS: "too few independent groups for an interval: fewer than 5 share no dialogue or speaker",
    APPROXIMATE_INTERVAL: "the interval is approximate",
    UNVARIED: "constant, the same in every dialogue: resampling tells nothing of an interval",
    NOTED: "the interval is to be read with its note in the table of all metrics",
    FEW_RATERS: "provisional: some items have fewer raters than planned",
}
"""By mark, in the order in which a cell carries them."""

_OF_NOTES = {
    TOO_FEW: FEW_DIALOGUES,
    TOO_FEW_OR_RATERS: FEW_DIALOGUES,
    TOO_FEW_GROUPS: FEW_GROUPS,
    APPROXIMATE: APPROXIMATE_INTERVAL,
    CONSTANT: UNVARIED,
}
_UNJUDGED = frozenset({"coverage"})
_WITHOUT_USERS_FACE = frozenset({"ess", "ct_ess", "ess_rate", "ecs_audio"})
"""Metrics of judged replies that do not depend on the streams by which a user was judged."""


def with_marks(result: TaskResult, task: TaskSpec, partial: bool) -> TaskResult:
    """The result of a task with the marks of each of its metrics, and of the rows beside them.

    Args:
        partial: only some of the run's items were asked for.
    """
    common = [*([PARTIAL] if partial else []), *([PROVISIONAL] if result.status == "incomplete" else [])]
    judged = judged_metrics(task)
    mixed = bool(result.details.get("reasoning", {}).get("mixed_user_views"))

    def marks(name: str) -> list[str]:
        return [*common, *_of_judge(name in judged, name, result.comparable, mixed)]

    def marked_row(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
        # Rows beside a model's are shown without intervals, so that there is nothing to say of these.
        return {name: _with(metric, marks(name)) for name, metric in metrics.items()}

    metrics = {name: marked_metric(metric, marks(name)) for name, metric in result.metrics.items()}
    return replace(result, metrics=metrics, rows={name: marked_row(row) for name, row in result.rows.items()})


def marked_metric(metric: Metric, marks: Iterable[str]) -> Metric:
    """A metric with these marks and that of its note; one without a value has nothing to mark."""
    return _with(metric, [*marks, *([] if metric.note is None else [_OF_NOTES.get(metric.note, NOTED)])])


def _with(metric: Metric, marks: Sequence[str]) -> Metric:
    if metric.value is None:
        return metric
    return replace(metric, marks=tuple(mark for mark in SENTENCES if mark in marks))


def marked_contrast(metric: Metric | None, tasks: Iterable[TaskResult], partial: bool) -> Metric | None:
    """A difference of several tasks' values with what is provisional or partial about any of them."""
    if metric is None:
        return None
    unfinished = any(task.status == "incomplete" for task in tasks)
    return marked_metric(metric, [*([PARTIAL] if partial else []), *([PROVISIONAL] if unfinished else [])])


def mark_of(metric: Metric | None) -> str:
    """All marks of a value in one word."""
    return "" if metric is None else "".join(metric.marks)


def judged_metrics(task: TaskSpec) -> frozenset[str]:
    """The metrics of a task that depend on the judge of its replies."""
    return (
        frozenset(name for scorer in task.scorers if scorer.name == "reasoning" for name in scorer.metrics) - _UNJUDGED
    )


def sentences_of(metrics: Iterable[Metric | None]) -> dict[str, str]:
    """The sentence behind each mark that some of the metrics carry."""
    carried = {mark for metric in metrics if metric is not None for mark in metric.marks}
    return {mark: sentence for mark, sentence in SENTENCES.items() if mark in carried}


def _of_judge(judged: bool, name: str, comparable: bool, mixed: bool) -> Iterator[str]:
    if judged and not comparable:
        yield DEMO_JUDGE
    if judged and mixed and name not in _WITHOUT_USERS_FACE:
        yield MIXED_VIEWS
