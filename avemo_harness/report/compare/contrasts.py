"""From the same items on two sides to differences, tests and flipped items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from avemo_harness.benchmark.task import GroupSpec, LabelOutput, TaskSpec
from avemo_harness.metrics.bootstrap import TOO_FEW, Statistic
from avemo_harness.metrics.paired import detectable_difference, difference, holm, mcnemar_test, swap_test
from avemo_harness.report.compare.paired_counts import (
    Floats,
    ItemPair,
    PairedCounts,
    mean_values,
    preference_rates,
    understanding_counts,
)
from avemo_harness.report.compare.paired_replies import reply_counts
from avemo_harness.report.compare.records import Contrast, Flip, MetricDifference, Test
from avemo_harness.report.results import is_comparable
from avemo_harness.report.scored_run import ScoredItem, ScoredRun

COVERAGE_GAP = 0.05
"""Shares of spoken replies further apart than this get a warning: the other scores are then of different turns."""

_UNDERSTANDING = {"accuracy": "Acc", "macro_f1": "F1"}


@dataclass(frozen=True, slots=True)
class Side:
    """One of two things compared.

    Args:
        label: how a reader knows it.
        task: what it was asked.
    """

    label: str
    run: ScoredRun
    task: TaskSpec

    @property
    def items(self) -> Mapping[str, ScoredItem]:
        return self.run.items[self.task.task]


def contrast_runs(first: Side, second: Side, columns: Mapping[str, str]) -> Contrast:
    """Two runs on the same task.

    Args:
        columns: how each metric to compare is called.
    """
    pairs = _shared(first, second)
    counts: dict[str, PairedCounts] = {}
    notes: list[str] = []
    for scorer in first.task.scorers:
        if scorer.name == "reasoning":
            of_replies, refusal = reply_counts(pairs, first.run, second.run, first.task)
            counts.update(of_replies)
            notes += [*([refusal] if refusal else []), *_coverage_notes(of_replies["coverage"], first, second)]
            if not is_comparable(first.task, first.run.judge, first.run.record):
                notes.append("the embedded judge knows the demo's voices only: these differences mean nothing")
        elif scorer.name == "understanding":
            counts.update(understanding_counts(pairs, _labels(first.task, second.task)))
        elif scorer.name == "modality_preference":
            counts.update(preference_rates(pairs))
        else:
            counts.update(mean_values(pairs, scorer.metrics))
    compared = {name: one for name, one in counts.items() if name in columns}
    return _contrast(first.task.task, (first, second), pairs, _differences(compared, columns), notes)


def contrast_conditions(first: Side, second: Side) -> Contrast:
    """Two conditions of one run on the same turns: accuracy and macro F1."""
    pairs = _shared(first, second)
    counts = understanding_counts(pairs, _labels(first.task, second.task))
    compared = {name: counts[name] for name in _UNDERSTANDING}
    title = f"{first.task.group or first.task.task}: {second.label} against {first.label}"
    return _contrast(title, (first, second), pairs, _differences(compared, _UNDERSTANDING), [])


def compared_columns(task: TaskSpec, groups: Iterable[GroupSpec]) -> dict[str, str]:
    """The metrics of a task that fill columns of its group's table, with the columns' names; else all by their own."""
    reported = {metric for scorer in task.scorers for metric in scorer.metrics}
    group = next((one for one in groups if one.group == task.group), None)
    names = {
        column.metric: column.name
        for column in (group.columns if group else ())
        if column.condition == task.condition.name and column.metric in reported
    }
    return names or {metric: metric for scorer in task.scorers for metric in scorer.metrics}


def adjusted(contrasts: Sequence[Contrast]) -> tuple[tuple[Contrast, ...], int]:
    """The contrasts with p-values adjusted for all of their tests (Holm), and the number of these tests."""
    p_values = [one.p_value for contrast in contrasts for one in contrast.differences if one.p_value is not None]
    results = iter(holm(p_values))
    done = [
        replace(
            contrast,
            differences=tuple(
                one if one.p_value is None else replace(one, p_holm=next(results)) for one in contrast.differences
            ),
        )
        for contrast in contrasts
    ]
    return tuple(done), len(p_values)


def _shared(first: Side, second: Side) -> list[ItemPair]:
    """Items scored on both sides, in the first side's order."""
    return [
        (item, other)
        for name, item in first.items.items()
        if item.scored and (other := second.items.get(name)) is not None and other.scored
    ]


def _labels(first: TaskSpec, second: TaskSpec) -> list[str]:
    outputs = (first.output, second.output)
    return list(dict.fromkeys(x for output in outputs if isinstance(output, LabelOutput) for x in output.labels))


def _coverage_notes(coverage: PairedCounts, first: Side, second: Side) -> list[str]:
    shares = _values(coverage)
    if shares[0] is None or shares[1] is None or abs(shares[1] - shares[0]) <= COVERAGE_GAP:
        return []
    return [
        f"{first.label} spoke in {100 * shares[0]:.0f} % of the turns, {second.label} in {100 * shares[1]:.0f} %: the "
        "other differences are of the turns that both answered in speech, which may be the easier ones"
    ]


def _differences(counts: Mapping[str, PairedCounts], columns: Mapping[str, str]) -> tuple[MetricDifference, ...]:
    return tuple(_difference(columns[metric], metric, counts[metric]) for metric in columns if metric in counts)


def _difference(column: str, metric: str, counts: PairedCounts) -> MetricDifference:
    estimate = difference(counts.first, counts.second, counts.statistic)
    if estimate.note == TOO_FEW:
        estimate = replace(estimate, note=counts.few)
    test: Test = "sign-flip" if counts.hits is None else "McNemar"
    if estimate.value is None:
        p_value = None
    elif counts.hits is None:
        p_value = swap_test(counts.first, counts.second, counts.statistic)
    else:
        only_first, only_second = counts.hits[0] & ~counts.hits[1], counts.hits[1] & ~counts.hits[0]
        p_value = mcnemar_test(int(only_first.sum()), int(only_second.sum()))
    values = _values(counts)
    return MetricDifference(
        column=column,
        metric=metric,
        first=values[0],
        second=values[1],
        difference=estimate,
        test=test,
        p_value=p_value,
        p_holm=None,
        detectable=detectable_difference(estimate),
        n=counts.n,
        n_undefined=counts.n_undefined,
    )


def _values(counts: PairedCounts) -> tuple[float | None, float | None]:
    return _value(counts.first, counts.statistic), _value(counts.second, counts.statistic)


def _value(counts: Floats, statistic: Statistic) -> float | None:
    value = float(statistic(counts.sum(axis=0, keepdims=True))[0])
    return None if np.isnan(value) else value


def _contrast(
    title: str,
    sides: tuple[Side, Side],
    pairs: Sequence[ItemPair],
    differences: tuple[MetricDifference, ...],
    notes: Sequence[str],
) -> Contrast:
    scored = [{name for name, item in side.items.items() if item.scored} for side in sides]
    return Contrast(
        title=title,
        first=sides[0].label,
        second=sides[1].label,
        n_shared=len(pairs),
        n_clusters=len({pair[0].cluster for pair in pairs}),
        only_first=tuple(sorted(scored[0] - scored[1])),
        only_second=tuple(sorted(scored[1] - scored[0])),
        differences=differences,
        flips=tuple(_flips(pairs)),
        notes=tuple(notes),
    )


def _flips(pairs: Iterable[ItemPair]) -> Iterable[Flip]:
    for one, other in pairs:
        if one.verdict != other.verdict:
            gold = one.gold or (f"heard {one.audio_label}, seen {one.video_label}" if one.audio_label else "")
            yield Flip(one.item, gold, one.label, other.label, one.verdict, other.verdict)
