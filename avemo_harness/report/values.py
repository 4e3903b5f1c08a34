"""Metric values as text: digits, intervals, and the marks that qualify a value, with their sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics.bootstrap import APPROXIMATE, CONSTANT, TOO_FEW
from avemo_harness.metrics.raters import TOO_FEW_OR_RATERS
from avemo_harness.scorers import reported_metrics
from avemo_harness.scorers.base import MetricValue
from avemo_harness.scorers.metric import TOO_FEW_GROUPS, Metric
from avemo_harness.text import fixed

if TYPE_CHECKING:
    from avemo_harness.report.results import TaskResult

UNDEFINED = "—"
DIGITS = 3
FEW_ITEMS = 10
"""Values of fewer items are shown to two digits: the third is below what one item adds."""


def digits_of(n: int) -> int:
    """Decimals of a value that is made of n items.

    >>> digits_of(9), digits_of(10)
    (2, 3)
    """
    return DIGITS if n >= FEW_ITEMS else 2


def figure(value: float | None, digits: int = DIGITS, signed: bool = False) -> str:
    """A number with a fixed number of decimals; "—" for None.

    >>> figure(-0.0001), figure(0.25, digits=2, signed=True), figure(None)
    ('0.000', '+0.25', '—')
    """
    return UNDEFINED if value is None else fixed(value, digits, "+" if signed else "-")


def span(low: float, high: float, digits: int = DIGITS, signed: bool = False, dash: str = "-") -> str:
    """An interval from end to end.

    >>> span(0.1, 0.9), span(-0.1, 0.9), span(0.1, 0.2, digits=2, signed=True)
    ('0.100-0.900', '-0.100 to 0.900', '+0.10 to +0.20')
    """
    return span_of((figure(low, digits, signed), figure(high, digits, signed)), dash)


def span_of(ends: Sequence[str], dash: str = "-") -> str:
    """An interval by its ends as text; a dash would be taken for a minus where the first has a sign."""
    return (" to " if ends and ends[0].startswith(("-", "+")) else dash).join(ends)


def shown_value(metric: MetricValue | None, signed: bool = False) -> str:
    """The value of a metric without its marks; "—" where it is undefined or was not asked."""
    return UNDEFINED if metric is None else figure(metric.value, digits_of(metric.n), signed)


def interval_of(metric: MetricValue, signed: bool = False) -> tuple[str, ...]:
    """The ends of a metric's interval, or the note that says why it has none; nothing where neither is known."""
    if metric.value is None:
        return ()
    if metric.ci_low is None or metric.ci_high is None:
        return (metric.note,) if metric.note else ()
    digits = digits_of(metric.n)
    return figure(metric.ci_low, digits, signed), figure(metric.ci_high, digits, signed)


def shown_interval(metric: MetricValue | None, signed: bool = False, dash: str = "-") -> str:
    """The interval of a metric from end to end, or its note; "—" where nothing is known of it."""
    return UNDEFINED if metric is None else span_of(interval_of(metric, signed), dash) or UNDEFINED


def of_resampled(note: str, unit: str) -> str:
    """The note of an estimate in words of what was resampled.

    >>> of_resampled("too few dialogues", "speaker"), of_resampled("the same in every dialogue", "speaker")
    ('too few speakers', 'the same in every speaker')
    """
    return note.replace("dialogue", unit) if note in (TOO_FEW, CONSTANT) else note


def shortened(interval: str) -> str:
    """An interval, or what stands for it, for narrow columns; the cell's mark has the whole sentence.

    >>> shortened("too few dialogues"), shortened("the same in every dialogue"), shortened("0.10-0.20")
    ('too few', 'constant', '0.10-0.20')
    """
    if interval.startswith("too few"):
        return "too few"
    return "constant" if interval.startswith("the same in every") else interval


DEMO_JUDGE, LEARNED_LABELS, PARTIAL, PROVISIONAL, MIXED_VIEWS = "D", "L", "P", "U", "V"
FEW_DIALOGUES, FEW_GROUPS, APPROXIMATE_INTERVAL, UNVARIED, NOTED = "F", "G", "A", "C", "N"
FEW_RATERS = "R"

SENTENCES: Mapping[str, str] = {
    DEMO_JUDGE: "judged by the demo's judge, which knows the demo's voices only: to be held against nothing",
    LEARNED_LABELS: "by a judge that learned from labels, which stand still: how steady a reply is it can hardly tell",
    PARTIAL: "partial: only some of the items were asked for",
    PROVISIONAL: "unfinished, provisional: items failed, or are not answered or not judged yet",
    MIXED_VIEWS: "users judged by unlike streams (sound and face, sound alone, face alone): a mean over unlike values",
    FEW_DIALOGUES: "too few dialogues, speakers or raters for an interval: fewer than 5 have a value",
    FEW_GROUPS: "too few independent groups for an interval: fewer than 5 share no dialogue or speaker",
    APPROXIMATE_INTERVAL: "the interval is approximate",
    UNVARIED: "constant, the same in every dialogue or speaker: resampling tells nothing of an interval",
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


def with_marks(result: TaskResult, task: TaskSpec, partial: bool, learned_labels: bool = False) -> TaskResult:
    """The result of a task with the marks of each of its metrics, and of the rows beside them.

    Args:
        partial: only some of the run's items were asked for.
        learned_labels: the judge of the replies learned from labels.
    """
    common = [*([PARTIAL] if partial else []), *([PROVISIONAL] if result.status == "incomplete" else [])]
    judged = {metric.name: metric for metric in judged_metrics(task)}
    mixed = bool(result.details.get("reasoning", {}).get("mixed_user_views"))

    def marks(name: str) -> list[str]:
        of_judge = _of_judge(judged.get(name), result.comparable, mixed)
        still = learned_labels and name in judged and judged[name].uses_steps
        return [*common, *of_judge, *([LEARNED_LABELS] if still else [])]

    def marked_row(metrics: Mapping[str, MetricValue]) -> dict[str, MetricValue]:
        # Rows beside a model's are shown without intervals, so that there is nothing to say of these.
        return {name: _with(metric, marks(name)) for name, metric in metrics.items()}

    metrics = {name: marked_metric(metric, marks(name)) for name, metric in result.metrics.items()}
    return replace(result, metrics=metrics, rows={name: marked_row(row) for name, row in result.rows.items()})


def marked_metric(metric: MetricValue, marks: Iterable[str]) -> MetricValue:
    """A metric with these marks and that of its note; one without a value has nothing to mark."""
    return _with(metric, [*marks, *([] if metric.note is None else [_OF_NOTES.get(metric.note, NOTED)])])


def _with(metric: MetricValue, marks: Sequence[str]) -> MetricValue:
    if metric.value is None:
        return metric
    return replace(metric, marks=tuple(mark for mark in SENTENCES if mark in marks))


def marked_contrast(metric: MetricValue | None, tasks: Iterable[TaskResult], partial: bool) -> MetricValue | None:
    """A difference of several tasks' values with what is provisional or partial about any of them."""
    if metric is None:
        return None
    unfinished = any(task.status == "incomplete" for task in tasks)
    return marked_metric(metric, [*([PARTIAL] if partial else []), *([PROVISIONAL] if unfinished else [])])


def mark_of(metric: MetricValue | None) -> str:
    """All marks of a value in one word."""
    return "" if metric is None else "".join(metric.marks)


def judged_metrics(task: TaskSpec) -> list[Metric]:
    """The metrics of a task that depend on the judge of its replies."""
    return [metric for scorer in task.scorers for metric in reported_metrics(scorer) if metric.needs_judge]


def sentences_of(metrics: Iterable[MetricValue | None]) -> dict[str, str]:
    """The sentence behind each mark that some of the metrics carry."""
    carried = {mark for metric in metrics if metric is not None for mark in metric.marks}
    return {mark: sentence for mark, sentence in SENTENCES.items() if mark in carried}


def _of_judge(judged: Metric | None, comparable: bool, mixed: bool) -> Iterator[str]:
    if judged and not comparable:
        yield DEMO_JUDGE
    if judged and mixed and judged.uses_user_view:
        yield MIXED_VIEWS
