"""Metrics of two sides on the items scored on both: values, difference, interval and test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.request import ItemKey
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics import classification
from avemo_harness.metrics.bootstrap import TOO_FEW, Estimate, Statistic
from avemo_harness.metrics.calibration import expected_calibration_error
from avemo_harness.metrics.paired import difference, mcnemar_test, swap_test
from avemo_harness.metrics.paired_items import difference_of_inflated, swap_test_of_items
from avemo_harness.metrics.preference import AUDIO, OTHER, VIDEO, preference_counts, preference_rate
from avemo_harness.metrics.profiles import AV_EMO, Profile, calibrated_profile
from avemo_harness.metrics.trivial_replies import anchored
from avemo_harness.report.comparison import Test
from avemo_harness.report.scored_run import ScoredItem, ScoredRun
from avemo_harness.scorers.base import Judge, Judgement
from avemo_harness.scorers.modality_preference import TOO_FEW_GROUPS
from avemo_harness.scorers.reasoning import exchange_problem
from avemo_harness.scorers.reasoning_columns import (
    Column,
    Exchange,
    Scores,
    anchored_columns,
    companion_columns,
    shuffled_columns,
)

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


Integers = NDArray[np.int64]

CONFIDENCE = "confidence"
"""What scores of ranked answers hold beside their Brier score."""


@dataclass(frozen=True, slots=True, eq=False)
class PairedForecasts:
    """ECE of both sides, whose bins are made anew wherever items are resampled or swapped.

    Args:
        confidences: of each item's answer on either side, shape (2, N).
        hits: 1 where that answer is right, else 0, shape (2, N).
        clusters: the number of each item's cluster, shape (N,).
        n_undefined: items that one side did not rank.
    """

    confidences: Floats
    hits: Floats
    clusters: Integers
    n_undefined: int

    test: Test = "sign-flip"

    @property
    def n(self) -> int:
        return len(self.clusters)

    def values(self) -> tuple[float | None, float | None]:
        """ECE of the first and of the second side."""
        first, second = (value_of(side(np.ones((1, self.n)))) for side in self._sides())
        return first, second

    def difference(self) -> Estimate:
        """The second side's ECE less the first's."""
        return difference_of_inflated(*self._sides(), self.clusters)

    def p_value(self) -> float | None:
        """By swapping the sides of whole clusters."""
        both = partial(expected_calibration_error, self.confidences.ravel(), self.hits.ravel())
        return swap_test_of_items(both, self.clusters)

    def _sides(self) -> tuple[Statistic, Statistic]:
        first, second = (
            partial(expected_calibration_error, confidences, hits)
            for confidences, hits in zip(self.confidences, self.hits, strict=True)
        )
        return first, second


def calibration_pairs(pairs: Sequence[ItemPair]) -> dict[str, PairedMetric]:
    """ECE and Brier score of the items that both sides ranked; nothing where there is none."""
    ranked = [pair for pair in pairs if all(item.values.get(CONFIDENCE) is not None for item in pair)]
    if not ranked:
        return {}
    confidences = np.array([[pair[side].values[CONFIDENCE] for pair in ranked] for side in (0, 1)], dtype=np.float64)
    hits = np.array([[pair[side].verdict == "right" for pair in ranked] for side in (0, 1)], dtype=np.float64)
    clusters = np.unique([pair[0].cluster for pair in ranked], return_inverse=True)[1].astype(np.int64)
    ece = PairedForecasts(confidences, hits, clusters, len(pairs) - len(ranked))
    return {"ece": ece, **mean_values(pairs, ["brier"], BRIER_SPAN)}


def reply_counts(
    pairs: Sequence[ItemPair], first: ScoredRun, second: ScoredRun, task: TaskSpec
) -> tuple[dict[str, PairedCounts], str]:
    """Every reasoning metric on the turns that both sides answered in speech, and coverage on all shared ones.

    The user's trajectory is the first side's on both, so that the same turns are extreme on both.

    Returns:
        The counts by metric, and why there are no others.
    """
    clusters = [pair[0].cluster for pair in pairs]
    spoken = [np.array([pair[side].verdict == "spoken" for pair in pairs], dtype=np.float64) for side in (0, 1)]
    coverage = {"coverage": mean_counts(spoken[0], spoken[1], clusters)}
    profile = _profile(task, first.judge)
    if profile is None:
        why = first.judge.no_calibration if first.judge else None
        return coverage, f"replies are not scored: profile calibrated: {why}"
    both = [pair for pair in pairs if pair[0].verdict == pair[1].verdict == "spoken"]
    exchanges = _exchanges([(task.task, pair[0].item) for pair in both], both, first.judged, second.judged)
    refusal = exchange_problem([*exchanges[0], *exchanges[1]], profile)
    if refusal:
        return coverage, f"replies are not scored: {refusal}"
    columns = [_columns(of_side, profile) for of_side in exchanges]
    counts = {
        name: mean_counts(column.values, columns[1][name].values, column.clusters)
        if column.shuffled is None
        else anchored_counts(column, columns[1][name])
        for name, column in columns[0].items()
    }
    return {**counts, **coverage}, "they are no means over turns or dialogues"


def _profile(task: TaskSpec, judge: Judge | None) -> Profile | None:
    named = next((scorer.profile for scorer in task.scorers if scorer.name == "reasoning"), None)
    if named != "calibrated" or judge is None:
        return AV_EMO
    return calibrated_profile(judge.calibration) if judge.calibration and not judge.no_calibration else None


def _exchanges(
    places: Sequence[ItemKey],
    pairs: Sequence[ItemPair],
    first: Mapping[ItemKey, Judgement],
    second: Mapping[ItemKey, Judgement],
) -> tuple[list[Exchange], list[Exchange]]:
    sides: tuple[list[Exchange], list[Exchange]] = ([], [])
    for place, pair in zip(places, pairs, strict=True):
        one, other = first.get(place), second.get(place)
        # A turn whose verdict is `spoken` has all three; one whose judgement was lost since is not compared.
        if one and other and one.user is not None and one.reply is not None and other.reply is not None:
            for side, reply in zip(sides, (one.reply, other.reply), strict=True):
                side.append(Exchange(pair[0].cluster, one.turn_number, one.user, one.user_audio, reply))
    return sides


def _columns(exchanges: Sequence[Exchange], profile: Profile) -> dict[str, Column]:
    scores = Scores.of(exchanges, [one.reply for one in exchanges], profile)
    of_others = anchored_columns(scores, shuffled_columns(exchanges, profile))
    return {**scores.columns(), **companion_columns(exchanges, profile), **of_others}
