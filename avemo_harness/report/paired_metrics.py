"""Metrics of two sides on the items scored on both: values, difference, interval and test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics.bootstrap import Estimate, Statistic
from avemo_harness.metrics.paired import detectable_difference, difference, mcnemar_test, swap_test
from avemo_harness.metrics.paired_items import difference_of_inflated, swap_test_of_items
from avemo_harness.report.comparison import MetricDifference, Test
from avemo_harness.report.scored_run import ScoredRun
from avemo_harness.scorers.base import ScoreLine, by_cluster
from avemo_harness.scorers.metric import Metric
from avemo_harness.scorers.reasoning import exchange_problem, profile_of
from avemo_harness.scorers.reasoning_columns import Column, Exchange, anchored_statistic, column_sums, mean_statistic

Floats = NDArray[np.float64]

ItemPair = tuple[ScoreLine, ScoreLine]
"""The same item on the first and on the second side."""


def paired_differences(
    metrics: Iterable[Metric],
    pairs: Sequence[ItemPair],
    runs: tuple[ScoredRun, ScoredRun],
    task: TaskSpec,
    labels: Sequence[str],
) -> tuple[dict[str, MetricDifference], str | None]:
    """Compare what can be compared of some metrics.

    Args:
        task: what the first side was asked.
        labels: of both sides' tasks; the gold of every item is one of them.

    Returns:
        By metric, as if it filled no column, and why judged replies give none; None where they do, or there are none.
    """
    found: dict[str, MetricDifference] = {}
    refusal = None
    known: dict[Callable[..., Any], Sequence[Mapping[str, Column]]] = {}  # by the function that gives them
    for metric in metrics:
        if metric.of_exchanges is not None:
            if metric.of_exchanges not in known:
                known[metric.of_exchanges], refusal = _reply_columns(metric, pairs, runs, task)
            sides = [of_side[metric.name] for of_side in known[metric.of_exchanges] if metric.name in of_side]
            paired = _of_means(metric, *sides) if len(sides) == 2 else None
        elif metric.counts is not None:
            paired = _of_item_counts(metric, pairs, labels)
        elif metric.of_forecasts is not None:
            paired = _of_forecasts(metric, pairs)
        else:
            paired = _of_item_values(metric, pairs)
        if paired is not None:
            found[metric.name] = paired
    return found, refusal


def _difference(
    metric: Metric,
    values: Sequence[Floats],
    estimate: Estimate,
    test: Test,
    p_value: Callable[[], float | None],
    counts: tuple[int, int],
) -> MetricDifference:
    """Put a metric's difference together.

    Args:
        values: the statistic of everything on either side, each of shape (1,).
        p_value: asked only where there is a difference.
        counts: of items, or dialogues, with a value on both sides, and of those without.
    """
    first, second = (None if np.isnan(value[0]) else float(value[0]) for value in values)
    return MetricDifference(
        column=metric.name,
        metric=metric.name,
        first=first,
        second=second,
        difference=estimate,
        test=test,
        p_value=None if estimate.value is None else p_value(),
        p_holm=None,
        detectable=detectable_difference(estimate),
        n=counts[0],
        n_undefined=counts[1],
        family="other",
    )


def _of_counts(
    metric: Metric,
    sides: tuple[Floats, Floats],
    statistic: Statistic,
    counts: tuple[int, int],
    hits: NDArray[np.bool_] | None = None,
) -> MetricDifference:
    """A metric of counts that are summed over dialogues.

    Args:
        sides: the counts of each dialogue, both (D, K).
        statistic: the metric, from K summed counts.
        hits: whether each item counts for the metric on either side, shape (2, N), for McNemar's exact test; None where
            the metric is no share of items, or where items share dialogues: then whole dialogues are swapped.
    """
    estimate = metric.noted(difference(*sides, statistic, metric.high - metric.low))
    values = [statistic(side.sum(axis=0, keepdims=True)) for side in sides]
    if hits is None:
        return _difference(metric, values, estimate, "sign-flip", lambda: swap_test(*sides, statistic), counts)
    only_first, only_second = (int(lost.sum()) for lost in (hits[0] & ~hits[1], hits[1] & ~hits[0]))
    return _difference(metric, values, estimate, "McNemar", lambda: mcnemar_test(only_first, only_second), counts)


def _of_item_counts(metric: Metric, pairs: Sequence[ItemPair], labels: Sequence[str]) -> MetricDifference:
    assert metric.counts is not None
    count = metric.counts
    n_all = len(pairs)
    if metric.of_value:
        pairs = [pair for pair in pairs if all(line.values.get(metric.of_value) is not None for line in pair)]
    lines = [line for line, _ in pairs]
    others = [replace(other, cluster=line.cluster) for line, other in pairs]
    first, second = (by_cluster(side, lambda group: count(group, labels)) for side in (lines, others))
    # Of tasks that differ (`--force`), the labels of the first side count on both.
    statistic = metric.of_sample(count(lines, labels))
    hits = None
    if metric.verdict is not None and len({line.cluster for line in lines}) == len(lines):
        hits = np.array([[line.verdict == metric.verdict for line in side] for side in (lines, others)])
    return _of_counts(metric, (first, second), statistic, (len(pairs), n_all - len(pairs)), hits)


def _of_item_values(metric: Metric, pairs: Sequence[ItemPair]) -> MetricDifference | None:
    """The mean of the values that a scorer gave each item; None where it gave both sides of no item any."""
    if not any(all(metric.name in line.values for line in pair) for pair in pairs):
        return None
    clusters = [line.cluster for line, _ in pairs]
    first, second = (
        Column(np.array([line.values.get(metric.name) for line in side], dtype=np.float64), clusters)
        for side in zip(*pairs, strict=True)
    )
    return _of_means(metric, first, second)


def _of_means(metric: Metric, first: Column, second: Column) -> MetricDifference:
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
    return _of_counts(metric, (sides[0], sides[1]), statistic, (n, len(both) - n))


def _of_forecasts(metric: Metric, pairs: Sequence[ItemPair]) -> MetricDifference | None:
    """A metric such as ECE, whose bins are made anew wherever items are resampled or swapped.

    It is of the items that both sides ranked; None where there is none.
    """
    ranked = [pair for pair in pairs if all(line.values.get("confidence") is not None for line in pair)]
    if not ranked:
        return None
    assert metric.of_forecasts is not None
    confidences = np.array([[pair[side].values["confidence"] for pair in ranked] for side in (0, 1)], dtype=np.float64)
    hits = np.array([[pair[side].verdict == "right" for pair in ranked] for side in (0, 1)], dtype=np.float64)
    clusters = np.unique([pair[0].cluster for pair in ranked], return_inverse=True)[1].astype(np.int64)
    first, second = (partial(metric.of_forecasts, *side) for side in zip(confidences, hits, strict=True))
    both = partial(metric.of_forecasts, confidences.ravel(), hits.ravel())
    once = np.ones((1, len(ranked)))
    return _difference(
        metric,
        [first(once), second(once)],
        difference_of_inflated(first, second, clusters),
        "sign-flip",
        lambda: swap_test_of_items(both, clusters),
        (len(ranked), len(pairs) - len(ranked)),
    )


def _reply_columns(
    metric: Metric, pairs: Sequence[ItemPair], runs: tuple[ScoredRun, ScoredRun], task: TaskSpec
) -> tuple[Sequence[Mapping[str, Column]], str | None]:
    """Columns of either side, on the turns that both answered in speech; else why there are none.

    The user's trajectory is the first side's on both, so that the same turns are extreme on both.
    """
    assert metric.of_exchanges is not None
    profile, refusal = profile_of(task, runs[0].result.judge)
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
