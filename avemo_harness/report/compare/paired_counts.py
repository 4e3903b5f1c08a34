"""A metric of two sides on items scored on both, from counts per dialogue: values, difference and test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics import classification
from avemo_harness.metrics.bootstrap import TOO_FEW, Estimate, Statistic
from avemo_harness.metrics.paired import difference, mcnemar_test, swap_test
from avemo_harness.metrics.preference import AUDIO, OTHER, VIDEO, preference_counts, preference_rate
from avemo_harness.metrics.trivial_replies import anchored
from avemo_harness.report.compare.records import Test
from avemo_harness.report.scored_run import ScoredItem
from avemo_harness.scorers.means import Column
from avemo_harness.scorers.modality_preference import TOO_FEW_GROUPS

Floats = NDArray[np.float64]

ItemPair = tuple[ScoredItem, ScoredItem]
"""The same item on the first and on the second side."""

BRIER_SPAN = 2.0
UNBOUNDED = float("inf")
"""How far apart values of a Brier score, and of metrics without a known range, may be."""

_SIDES = {"aar": "audio", "var": "video", "olr": "other"}
_RATES = {"aar": AUDIO, "var": VIDEO, "olr": OTHER}


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


def understanding_counts(pairs: Sequence[ItemPair], labels: Sequence[str]) -> dict[str, PairedCounts]:
    """Accuracy, F1 and balanced accuracy. A label that is none of `labels` is an invalid answer.

    Args:
        labels: those of the task; the gold of every item is one of them.
    """
    shape = (len(labels), len(labels) + 1)
    first, second = (_by_cluster(pairs, partial(_confusion, side=side, labels=labels)) for side in (0, 1))
    occurring = np.array([any(pair[0].gold == label for pair in pairs) for label in labels])
    statistics: dict[str, Statistic] = {
        "accuracy": classification.accuracy,
        "macro_f1": lambda counts: classification.macro_f1(counts, occurring),
        "f1_all4": classification.macro_f1_all,
        "balanced_accuracy": classification.balanced_accuracy,
    }
    hits = _hits(pairs, "right")
    return {
        name: PairedCounts(
            first, second, _of_confusion(statistic, shape), len(pairs), hits=hits if name == "accuracy" else None
        )
        for name, statistic in statistics.items()
    }


def _of_confusion(statistic: Statistic, shape: tuple[int, int]) -> Statistic:
    return lambda sums: statistic(sums.reshape(-1, *shape))


def _confusion(pairs: Sequence[ItemPair], side: int, labels: Sequence[str]) -> Floats:
    place = {label: i for i, label in enumerate(labels)}
    gold = [place[pair[side].gold or ""] for pair in pairs]
    answers = [place.get(pair[side].label or "") for pair in pairs]
    return classification.confusion_counts(gold, answers, len(labels)).ravel()


def preference_rates(pairs: Sequence[ItemPair]) -> dict[str, PairedCounts]:
    """AAR, VAR and OLR of conflict items."""
    first, second = (_by_cluster(pairs, partial(_preferences, side=side)) for side in (0, 1))
    return {
        name: PairedCounts(
            first,
            second,
            partial(preference_rate, which=which),
            len(pairs),
            hits=_hits(pairs, _SIDES[name]),
            few=TOO_FEW_GROUPS,
        )
        for name, which in _RATES.items()
    }


def _preferences(pairs: Sequence[ItemPair], side: int) -> Floats:
    items = [pair[side] for pair in pairs]
    return preference_counts(
        [item.label for item in items],
        [item.audio_label or "" for item in items],
        [item.video_label or "" for item in items],
    )


def mean_counts(first: Floats, second: Floats, clusters: Sequence[str]) -> PairedCounts:
    """A mean over units that have a value on both sides.

    Args:
        first, second: of each unit, shape (N,); NaN where undefined.
        clusters: the dialogue of each unit.
    """
    both = ~(np.isnan(first) | np.isnan(second))
    names, members = np.unique(np.array(clusters, dtype=np.str_)[both], return_inverse=True)
    n = np.bincount(members, minlength=len(names))
    counts = [
        np.stack([n, np.bincount(members, weights=side[both], minlength=len(names))], axis=1).astype(np.float64)
        for side in (first, second)
    ]
    return PairedCounts(counts[0], counts[1], _mean, int(both.sum()), int((~both).sum()))


def anchored_counts(first: Column, second: Column) -> PairedCounts:
    """A mean anchored at that of the replies of others, over units that have both on both sides."""
    both = first.defined & second.defined
    names, members = np.unique(np.array(first.clusters, dtype=np.str_)[both], return_inverse=True)
    sides = []
    for column in (first, second):
        assert column.shuffled is not None
        parts = (np.ones(len(both)), column.values, column.shuffled)
        sums = [np.bincount(members, weights=part[both], minlength=len(names)) for part in parts]
        sides.append(np.stack(sums, axis=1).astype(np.float64))
    return PairedCounts(sides[0], sides[1], _anchored, int(both.sum()), int((~both).sum()), span=UNBOUNDED)


def mean_values(pairs: Sequence[ItemPair], metrics: Iterable[str], span: float = UNBOUNDED) -> dict[str, PairedCounts]:
    """Means of the values that a scorer gave each item, of the metrics that have some."""
    found = {}
    for metric in metrics:
        if any(metric in item.values for pair in pairs for item in pair):
            first, second = (np.array([_value(pair[side].values, metric) for pair in pairs]) for side in (0, 1))
            counts = mean_counts(first, second, [pair[0].cluster for pair in pairs])
            found[metric] = replace(counts, span=span)
    return found


def _value(values: Mapping[str, float | None], metric: str) -> float:
    value = values.get(metric)
    return float("nan") if value is None else value


def _mean(sums: Floats) -> Floats:
    mean: Floats = sums[:, 1] / np.where(sums[:, 0] > 0, sums[:, 0], np.nan)
    return mean


def _anchored(sums: Floats) -> Floats:
    n = np.where(sums[:, 0] > 0, sums[:, 0], np.nan)
    return anchored(sums[:, 1] / n, sums[:, 2] / n)


def _by_cluster(pairs: Sequence[ItemPair], count: Callable[[Sequence[ItemPair]], Floats]) -> Floats:
    groups: dict[str, list[ItemPair]] = {}
    for pair in pairs:
        groups.setdefault(pair[0].cluster, []).append(pair)
    if not groups:
        return np.zeros((0, len(count([]))))
    return np.stack([count(groups[name]) for name in sorted(groups)])


def _hits(pairs: Sequence[ItemPair], verdict: str) -> NDArray[np.bool_] | None:
    if len({pair[0].cluster for pair in pairs}) < len(pairs):
        return None
    return np.array([[pair[side].verdict == verdict for pair in pairs] for side in (0, 1)])
