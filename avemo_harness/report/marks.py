"""Marks of cells: letters that keep a value from being held against its neighbours, each with its sentence.

They are set once, where results are computed, and stored with them (`Metric.marks`, `RunResult.marks`); whatever shows
a value prints them. Capitals mean the same in every run. What a run alone cannot know, such as that another row of a
board was judged by somebody else, `avemo_harness.report.board_marks` adds in small letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.scorers.base import Metric

if TYPE_CHECKING:
    from avemo_harness.report.results import TaskResult

DEMO_JUDGE, PARTIAL, PROVISIONAL, MIXED_VIEWS = "D", "P", "U", "V"
FEW_DIALOGUES, FEW_GROUPS, APPROXIMATE, NOTED = "F", "G", "A", "N"
FEW_RATERS = "R"

SENTENCES: Mapping[str, str] = {
    DEMO_JUDGE: "judged by the demo's judge, which knows the demo's voices only: to be held against nothing",
    PARTIAL: "partial: only some of the items were asked for",
    PROVISIONAL: "unfinished, provisional: items failed, or are not answered or not judged yet",
    MIXED_VIEWS: "users judged by unlike streams (sound and face, sound alone, face alone): a mean over unlike values",
    FEW_DIALOGUES: "too few dialogues for an interval: fewer than 5 have a value",
    FEW_GROUPS: "too few independent groups for an interval: fewer than 5 share no dialogue or speaker",
    APPROXIMATE: "the interval is approximate",
    NOTED: "the interval is to be read with its note in the table of all metrics",
    FEW_RATERS: "provisional: some items have fewer raters than planned",
}
"""By mark, in the order in which a cell carries them."""

_OF_NOTES = {
    "too few dialogues": FEW_DIALOGUES,
    "too few independent groups": FEW_GROUPS,
    "approximate": APPROXIMATE,
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

    def marked(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
        return {
            name: marked_metric(metric, [*common, *_of_judge(name in judged, name, result.comparable, mixed)])
            for name, metric in metrics.items()
        }

    rows = {name: marked(metrics) for name, metrics in result.rows.items()}
    return replace(result, metrics=marked(result.metrics), rows=rows)


def marked_metric(metric: Metric, marks: Iterable[str]) -> Metric:
    """A metric with these marks and that of its note; one without a value has nothing to mark."""
    if metric.value is None:
        return metric
    found = {*marks, *([] if metric.note is None else [_OF_NOTES.get(metric.note, NOTED)])}
    return replace(metric, marks=tuple(mark for mark in SENTENCES if mark in found))


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
