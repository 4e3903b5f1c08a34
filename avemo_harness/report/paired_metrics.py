"""Metrics of two sides on the items scored on both: values, difference, interval and test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics.bootstrap import TOO_FEW, Estimate, Statistic
from avemo_harness.metrics.paired import difference, mcnemar_test, swap_test
from avemo_harness.metrics.paired_items import difference_of_inflated, swap_test_of_items
from avemo_harness.report.comparison import Test
from avemo_harness.report.scored_run import ScoredRun
from avemo_harness.scorers.base import ScoreLine, by_cluster
from avemo_harness.scorers.metric import Metric
from avemo_harness.scorers.reasoning import exchange_problem, profile_of
from avemo_harness.scorers.reasoning_columns import Column, Exchange, anchored_statistic, column_sums, mean_statistic

Floats = NDArray[np.float64]

ItemPair = tuple[ScoreLine, ScoreLine]
"""The same item on the first and on the second side."""


class PairedMetric(Protocol):
    """One metric of both sides, on the items that have it on both."""

    @property
    def test(self) -> Test: ...

    @property
    def n(self) -> int:
        """Items, or dialogues, with a value on both sides."""

    @property
    def n_undefined(self) -> int:
        """Those without one on at least one side."""

    def values(self) -> tuple[float | None, float | None]: ...

    def difference(self) -> Estimate: ...

    def p_value(self) -> float | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class PairedCounts:
    """A metric of counts that are summed over dialogues.

    Args:
        first, second: shape (D, K), the counts of each dialogue.
        statistic: the metric, from K summed counts.
        n: items, or dialogues, with a value on both sides.
        n_undefined: those without one on at least one side.
        hits: whether each item counts for the metric on either side, shape (2, N); None where the metric is no share
            of items, or where items share dialogues.
        span: how far apart two values can be.
        few: note of a difference without an interval, for want of clusters.
    """

    first: Floats
    second: Floats
    statistic: Statistic
    n: int
    n_undefined: int = 0
    hits: NDArray[np.bool_] | None = None
    span: float = 1.0
    few: str = TOO_FEW

    @property
    def test(self) -> Test:
        return "sign-flip" if self.hits is None else "McNemar"

    def values(self) -> tuple[float | None, float | None]:
        """Of the first and of the second side."""
        first, second = (
            value_of(self.statistic(side.sum(axis=0, keepdims=True))) for side in (self.first, self.second)
        )
        return first, second

    def difference(self) -> Estimate:
        """The second side's value less the first's, with a 95 % interval over resampled dialogues."""
        estimate = difference(self.first, self.second, self.statistic, self.span)
        return replace(estimate, note=self.few) if estimate.note == TOO_FEW else estimate

    def p_value(self) -> float | None:
        """By McNemar's exact test of single items, else by swapping the sides of whole dialogues."""
        if self.hits is None:
            return swap_test(self.first, self.second, self.statistic)
        only_first, only_second = self.hits[0] & ~self.hits[1], self.hits[1] & ~self.hits[0]
        return mcnemar_test(int(only_first.sum()), int(only_second.sum()))


def value_of(of_all: Floats) -> float | None:
    """A statistic of everything, shape (1,); None where it is undefined."""
    value = float(of_all[0])
    return None if np.isnan(value) else value


def paired_metrics(
    metrics: Iterable[Metric],
    pairs: Sequence[ItemPair],
    runs: tuple[ScoredRun, ScoredRun],
    task: TaskSpec,
    labels: Sequence[str],
) -> tuple[dict[str, PairedMetric], str | None]:
    """Pair what can be paired of some metrics.

    Args:
        task: what the first side was asked.
        labels: of both sides' tasks; the gold of every item is one of them.

    Returns:
        By metric, and why judged replies give none; None where they do, or where there are none.
    """
    found: dict[str, PairedMetric] = {}
    refusal = None
    columns: Sequence[Mapping[str, Column]] | None = None
    for metric in metrics:
        if metric.of_exchanges is not None:
            if columns is None:
                columns, refusal = _reply_columns(metric, pairs, runs, task)
            sides = [of_side[metric.name] for of_side in columns if metric.name in of_side]
            paired: PairedMetric | None = _paired_means(metric, *sides) if len(sides) == 2 else None
        elif metric.counts is not None:
            paired = _paired_counts(metric, pairs, labels)
        elif metric.of_forecasts is not None:
            paired = _paired_forecasts(metric.of_forecasts, pairs)
        else:
            paired = _paired_values(metric, pairs)
        if paired is not None:
            found[metric.name] = paired
    return found, refusal


def _paired_counts(metric: Metric, pairs: Sequence[ItemPair], labels: Sequence[str]) -> PairedCounts:
    assert metric.counts is not None
    counts = metric.counts
    lines = [line for line, _ in pairs]
    others = [replace(other, cluster=line.cluster) for line, other in pairs]
    first, second = (by_cluster(side, lambda group: counts(group, labels)) for side in (lines, others))
    # Of tasks that differ (`--force`), the labels of the first side count on both.
    statistic = metric.of_sample(counts(lines, labels))
    hits = None
    if metric.verdict is not None and len({line.cluster for line in lines}) == len(lines):
        hits = np.array([[line.verdict == metric.verdict for line in side] for side in (lines, others)])
    few = metric.too_few or TOO_FEW
    return PairedCounts(first, second, statistic, len(pairs), hits=hits, span=metric.high - metric.low, few=few)


def _paired_values(metric: Metric, pairs: Sequence[ItemPair]) -> PairedCounts | None:
    """The mean of the values that a scorer gave each item; None where it gave both sides of no item any."""
    if not any(all(metric.name in line.values for line in pair) for pair in pairs):
        return None
    clusters = [line.cluster for line, _ in pairs]
    first, second = (
        Column(np.array([line.values.get(metric.name) for line in side], dtype=np.float64), clusters)
        for side in zip(*pairs, strict=True)
    )
    return _paired_means(metric, first, second)


def _paired_means(metric: Metric, first: Column, second: Column) -> PairedCounts:
    """The mean over units that have a value on both sides."""
    both = first.defined & second.defined
    clusters = [name for name, defined in zip(first.clusters, both, strict=True) if defined]
    index = {name: i for i, name in enumerate(sorted(set(clusters)))}
    sides, statistic = [], mean_statistic(0)
    for column in (first, second):
        if column.shuffled is None:
            sides.append(column_sums(Column(column.values[both], clusters), index)[:, :2])
        else:
            sides.append(column_sums(Column(column.values[both], clusters, column.shuffled[both]), index))
            statistic = anchored_statistic(0)
    n = int(both.sum())
    return PairedCounts(sides[0], sides[1], statistic, n, len(both) - n, span=metric.high - metric.low)


Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PairedForecasts:
    """A metric of confidences, such as ECE, whose bins are made anew wherever items are resampled or swapped.

    Args:
        statistic: of confidences and hits, both (N,), and weights, (B, N).
        confidences: of each item's answer on either side, shape (2, N).
        hits: 1 where that answer is right, else 0, shape (2, N).
        clusters: the number of each item's cluster, shape (N,).
        n_undefined: items that one side did not rank.
    """

    statistic: Callable[[Floats, Floats, Floats], Floats]
    confidences: Floats
    hits: Floats
    clusters: Integers
    n_undefined: int

    test: Test = "sign-flip"

    @property
    def n(self) -> int:
        return len(self.clusters)

    def values(self) -> tuple[float | None, float | None]:
        """Of the first and of the second side."""
        first, second = (value_of(side(np.ones((1, self.n)))) for side in self._sides())
        return first, second

    def difference(self) -> Estimate:
        """The second side's value less the first's."""
        return difference_of_inflated(*self._sides(), self.clusters)

    def p_value(self) -> float | None:
        """By swapping the sides of whole clusters."""
        both = partial(self.statistic, self.confidences.ravel(), self.hits.ravel())
        return swap_test_of_items(both, self.clusters)

    def _sides(self) -> tuple[Statistic, Statistic]:
        first, second = (
            partial(self.statistic, confidences, hits)
            for confidences, hits in zip(self.confidences, self.hits, strict=True)
        )
        return first, second


def _paired_forecasts(
    statistic: Callable[[Floats, Floats, Floats], Floats], pairs: Sequence[ItemPair]
) -> PairedForecasts | None:
    """A metric of confidences on the items that both sides ranked; None where there is none."""
    ranked = [pair for pair in pairs if all(line.values.get("confidence") is not None for line in pair)]
    if not ranked:
        return None
    confidences = np.array([[pair[side].values["confidence"] for pair in ranked] for side in (0, 1)], dtype=np.float64)
    hits = np.array([[pair[side].verdict == "right" for pair in ranked] for side in (0, 1)], dtype=np.float64)
    clusters = np.unique([pair[0].cluster for pair in ranked], return_inverse=True)[1].astype(np.int64)
    return PairedForecasts(statistic, confidences, hits, clusters, len(pairs) - len(ranked))


def _reply_columns(
    metric: Metric, pairs: Sequence[ItemPair], runs: tuple[ScoredRun, ScoredRun], task: TaskSpec
) -> tuple[Sequence[Mapping[str, Column]], str | None]:
    """Columns of either side, on the turns that both answered in speech; else why there are none.

    The user's trajectory is the first side's on both, so that the same turns are extreme on both.
    """
    assert metric.of_exchanges is not None
    profile, refusal = profile_of(task, runs[0].judge)
    sides = _exchanges(task, pairs, *runs)
    refusal = refusal or exchange_problem([*sides[0], *sides[1]], profile)
    if refusal is not None:
        return (), f"replies are not scored: {refusal}"
    return [metric.of_exchanges(of_side, profile) for of_side in sides], None


def _exchanges(
    task: TaskSpec, pairs: Sequence[ItemPair], first: ScoredRun, second: ScoredRun
) -> tuple[list[Exchange], list[Exchange]]:
    sides: tuple[list[Exchange], list[Exchange]] = ([], [])
    for line, other in pairs:
        if not line.verdict == other.verdict == "spoken":
            continue
        here, there = (run.judged.get((task.task, line.item)) for run in (first, second))
        # A turn whose verdict is `spoken` has all three; one whose judgement was lost since is not compared.
        if here and there and here.user is not None and here.reply is not None and there.reply is not None:
            for side, reply in zip(sides, (here.reply, there.reply), strict=True):
                side.append(Exchange(line.cluster, here.turn_number, here.user, here.user_audio, reply))
    return sides
