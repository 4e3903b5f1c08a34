"""From ratings to scores: ER, EN, RR and their mean of every system, and how far the raters agree.

Everything is computed twice, without the raters whom the plan's rules leave out, and of everyone. Ratings on another
wording of the scales than the study's have scores of their own, under names of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from avemo_harness.human.collected import CollectedRating
from avemo_harness.human.exclusions import exclusions
from avemo_harness.human.scales import SCALE_NAMES
from avemo_harness.human.study import Study, StudyKey
from avemo_harness.metrics.bootstrap import Estimate
from avemo_harness.metrics.raters import (
    Floats,
    difference_of_item_means,
    intraclass_correlation,
    mean_of_item_means,
    ordinal_alpha,
    unit_score,
)
from avemo_harness.report.results_file import people_columns
from avemo_harness.scorers.base import Metric, metric_of


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far raters agree on one scale, over the items of all systems.

    Args:
        alpha: Krippendorff's, ordinal.
        icc_single, icc_mean: ICC(2,1) and ICC(2,k).
        raters_an_item: k, the harmonic mean.
    """

    alpha: Estimate
    icc_single: Estimate
    icc_mean: Estimate
    raters_an_item: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher one system is rated than another, by column."""

    of: str
    to: str
    columns: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a study by some of its raters.

    Args:
        ratings: first ratings of rated items.
        systems: by system the three scales and their mean in [0, 1], named by `people_columns`; of each the items with
            a rating (`n`), those without (`n_undefined`), and ratings left out since something did not work
            (`n_errors`).
        agreement: by column; of the mean there is none.
    """

    raters: int
    ratings: int
    systems: Mapping[str, Mapping[str, Metric]]
    differences: tuple[Difference, ...]
    agreement: Mapping[str, Agreement]


@dataclass(frozen=True, slots=True)
class Repeats:
    """How far raters agree with themselves: items rated twice, and the shares rated alike or within one point."""

    n: int
    alike: Mapping[str, float]
    within_one: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class HumanResult:
    """The content of a study's `human.json`.

    Args:
        plan: the plan's digest.
        planned: first ratings of rated items that the plan asks for.
        short_items: rated items with fewer raters than planned, those left out not counted.
        excluded: raters left out, with the reasons.
        scores: without the raters left out: the result.
        of_everyone: with them.
        scales: the wording of the scales that the ratings were given on.
        apart: of the ratings on other wordings than the study's, by wording.
    """

    schema_version: int
    plan: str
    task: str
    planned: int
    short_items: int
    excluded: Mapping[str, tuple[str, ...]]
    repeats: Repeats
    scores: Scores
    of_everyone: Scores
    scales: str
    apart: tuple[HumanResult, ...] = ()


def analyze(study: Study, key: StudyKey, ratings: Sequence[CollectedRating]) -> HumanResult:
    """Score a study's ratings, complete or not. Pure: the same ratings give the same result."""
    by_scales: dict[str, list[CollectedRating]] = {study.scales_version: []}
    for one in ratings:
        by_scales.setdefault(one.scales, []).append(one)
    own = _result(study, key, by_scales.pop(study.scales_version), study.scales_version)
    # Gold items are told by the study's own wording: on another one, nobody knows what is expected.
    apart = {scales: [one for one in given if one.item.kind != "gold"] for scales, given in sorted(by_scales.items())}
    return replace(own, apart=tuple(_result(study, key, given, scales) for scales, given in apart.items()))


def _result(study: Study, key: StudyKey, ratings: Sequence[CollectedRating], scales: str) -> HumanResult:
    """Score ratings that were all given on one wording of the scales."""
    excluded = exclusions(ratings, study.rules)
    kept = [one for one in ratings if one.rater not in excluded]
    rated = [item.item_id for item in study.items if item.kind == "rated"]
    raters_of = raters_of_items(study, kept)
    names = people_columns(scales)
    return HumanResult(
        schema_version=2,
        plan=study.digest(),
        task=key.task,
        planned=len(rated) * study.raters_an_item,
        short_items=sum(number < study.raters_an_item for number in raters_of.values()),
        excluded=excluded,
        repeats=_repeats(kept, names),
        scores=_scores(key, rated, kept, names),
        of_everyone=_scores(key, rated, ratings, names),
        scales=scales,
    )


def raters_of_items(study: Study, ratings: Iterable[CollectedRating]) -> dict[str, int]:
    """How many raters each rated item has.

    Args:
        ratings: those that count.
    """
    raters: dict[str, set[str]] = {item.item_id: set() for item in study.items if item.kind == "rated"}
    for one in ratings:
        if one.item.kind == "rated" and one.ratings and not one.repeat:
            raters[one.item.item_id].add(one.rater)
    return {item: len(of_item) for item, of_item in raters.items()}


def _scores(
    key: StudyKey, rated: Sequence[str], ratings: Sequence[CollectedRating], columns_of: Sequence[str]
) -> Scores:
    """Score every system.

    Args:
        columns_of: what the three scales and their mean are called.
    """
    *of_scales, of_mean = columns_of
    first = [one for one in ratings if not one.repeat and one.item.kind == "rated"]
    raters = sorted({one.rater for one in first})
    names = sorted({key.items[item].dialogue for item in rated})
    dialogues = np.array([names.index(key.items[item].dialogue) for item in rated])
    points = {
        column: _matrix(first, rated, raters, scale) for column, scale in zip(of_scales, SCALE_NAMES, strict=True)
    }
    columns = {name: unit_score(matrix)[None] for name, matrix in points.items()}
    columns[of_mean] = np.concatenate(list(columns.values()))
    rows = {
        system.label: np.array([key.items[item].system == system.label for item in rated]) for system in key.systems
    }
    problems = dict.fromkeys(rows, 0)
    for one in first:
        problems[key.items[one.item.item_id].system] += not one.ratings
    return Scores(
        raters=len(raters),
        ratings=sum(bool(one.ratings) for one in first),
        systems={
            label: {name: _metric(scores[:, of], dialogues[of], problems[label]) for name, scores in columns.items()}
            for label, of in rows.items()
        },
        differences=tuple(
            Difference(
                one,
                other,
                {
                    name: difference_of_item_means(
                        scores[:, rows[one]], dialogues[rows[one]], scores[:, rows[other]], dialogues[rows[other]]
                    )
                    for name, scores in columns.items()
                },
            )
            for one, other in combinations(rows, 2)
        ),
        agreement={name: _agreement(matrix, dialogues) for name, matrix in points.items()},
    )


def _matrix(
    first: Sequence[CollectedRating], rated: Sequence[str], raters: Sequence[str], scale: str
) -> NDArray[np.float64]:
    """Items × raters, NaN where there is no rating."""
    row = {item: number for number, item in enumerate(rated)}
    column = {rater: number for number, rater in enumerate(raters)}
    matrix = np.full((len(rated), len(raters)), np.nan)
    for one in first:
        if scale in one.ratings:
            matrix[row[one.item.item_id], column[one.rater]] = one.ratings[scale]
    return matrix


def _metric(scores: Floats, dialogues: NDArray[np.int64], problems: int) -> Metric:
    n = int((~np.isnan(scores)).any(axis=2).all(axis=0).sum())
    estimate = mean_of_item_means(scores, dialogues)
    return metric_of(estimate, n, n_invalid=0, n_errors=problems, n_undefined=scores.shape[1] - n)


def _agreement(ratings: Floats, dialogues: NDArray[np.int64]) -> Agreement:
    icc = intraclass_correlation(ratings, dialogues)
    return Agreement(ordinal_alpha(ratings, dialogues), icc.single, icc.mean, icc.raters_an_item)


def _repeats(ratings: Sequence[CollectedRating], columns: Sequence[str]) -> Repeats:
    first = {(one.rater, one.item.item_id): one.ratings for one in ratings if not one.repeat and one.ratings}
    pairs = [
        (first[one.rater, one.item.item_id], one.ratings)
        for one in ratings
        if one.repeat and one.ratings and (one.rater, one.item.item_id) in first
    ]
    apart = {
        column: [abs(a[scale] - b[scale]) for a, b in pairs if scale in a and scale in b]
        for column, scale in zip(columns, SCALE_NAMES, strict=False)  # The mean has no repeats of its own.
    }
    return Repeats(
        n=len(pairs),
        alike={name: float(np.mean(np.array(values) == 0)) for name, values in apart.items() if values},
        within_one={name: float(np.mean(np.array(values) <= 1)) for name, values in apart.items() if values},
    )
