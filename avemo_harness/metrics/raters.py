"""Ratings by people: means with an interval over dialogues and raters, and how far the raters agree.

Ratings are matrices of items × raters, float64, NaN where a rater did not rate an item.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import (
    FEWEST_CLUSTERS,
    TOO_FEW,
    Estimate,
    bounded_at_edges,
    drawn_weights,
    resampled_estimate,
)
from avemo_harness.metrics.paired import around_zero

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LOWEST, HIGHEST = 1, 5
"""The ends of the rating scale."""

TOO_FEW_OR_RATERS = "too few dialogues or raters"
"""Note of a mean or difference without an interval, for want of either."""

_CELLS_A_BLOCK = 2**21


def unit_score(ratings: Floats) -> Floats:
    """Ratings from 1 to 5 as scores from 0 to 1: ``(x - 1) / 4``.

    >>> unit_score(np.array([1.0, 3.0, 5.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return (ratings - LOWEST) / (HIGHEST - LOWEST)


def mean_of_item_means(scores: Floats, dialogues: Integers) -> Estimate:
    """The mean over scales of the mean over items of the mean over their raters, in [0, 1].

    The interval resamples dialogues and, apart from them, raters: a resample holds a rating as often as its dialogue
    was drawn, times as often as its rater was (Owen's pigeonhole bootstrap, Annals of Applied Statistics 1, 2007). It
    errs on the side of width, since the noise of single ratings is counted more than once.

    Args:
        scores: in [0, 1], shape (scales, items, R), NaN where there is none; items of one dialogue share a draw.
        dialogues: the number of each item's dialogue, shape (items,).

    Returns:
        Nothing where a scale has no ratings; no interval for fewer than 5 dialogues or raters. Its `n_clusters` are
        dialogues or raters, whichever are fewer.
    """
    resamples = _TwoWayResamples(_rated_dialogues(scores, dialogues), _active_raters(scores))
    drawn = resamples.means(scores, dialogues)
    return _with_note(bounded_at_edges(resampled_estimate(_mean(scores), drawn, resamples.clusters)))


def difference_of_item_means(of: Floats, dialogues_of: Integers, to: Floats, dialogues_to: Integers) -> Estimate:
    """The mean of one system less that of another, on the dialogues in which both were rated, in [-1, 1].

    Args:
        of, to: shape (scales, items, R) each, the same R raters.
        dialogues_of, dialogues_to: the numbers of their items' dialogues.

    Returns:
        As `mean_of_item_means` does, from the same draws of dialogues and raters for both.
    """
    shared = np.intersect1d(_rated_dialogues(of, dialogues_of), _rated_dialogues(to, dialogues_to))
    in_of, in_to = np.isin(dialogues_of, shared), np.isin(dialogues_to, shared)
    of, dialogues_of, to, dialogues_to = of[:, in_of], dialogues_of[in_of], to[:, in_to], dialogues_to[in_to]
    resamples = _TwoWayResamples(shared, _active_raters(of) | _active_raters(to))
    drawn = resamples.means(of, dialogues_of) - resamples.means(to, dialogues_to)
    estimate = resampled_estimate(_mean(of) - _mean(to), drawn, resamples.clusters, low=-1.0)
    return _with_note(around_zero(estimate))


@dataclass(frozen=True, slots=True, eq=False)
class _TwoWayResamples:
    """Draws of dialogues, and apart from them of raters: the same for all scores of the same of both.

    Args:
        dialogues: their numbers, in order.
        raters: which of all raters are drawn, shape (R,).
    """

    dialogues: Integers
    raters: NDArray[np.bool_]

    @property
    def clusters(self) -> int:
        """Dialogues or raters, whichever are fewer: the interval is as uncertain as the fewer are."""
        return min(len(self.dialogues), int(self.raters.sum()))

    def means(self, scores: Floats, dialogues: Integers) -> Floats:
        """The mean of each resample, shape (B,); empty where there are too few of either."""
        if self.clusters < FEWEST_CLUSTERS:
            return np.empty(0)
        rows = np.isin(dialogues, self.dialogues)
        members = np.searchsorted(self.dialogues, dialogues[rows])
        of_items = drawn_weights(len(self.dialogues), stream=0)[:, members]
        of_raters = drawn_weights(int(self.raters.sum()), stream=1)
        drawn = [_means_of(scale[rows][:, self.raters], of_items, of_raters) for scale in scores]
        mean: Floats = np.mean(drawn, axis=0)
        return mean


def _with_note(estimate: Estimate) -> Estimate:
    return replace(estimate, note=TOO_FEW_OR_RATERS) if estimate.note == TOO_FEW else estimate


def _rated_dialogues(scores: Floats, dialogues: Integers) -> Integers:
    """Numbers of the dialogues that have a rating, in order."""
    return np.unique(dialogues[(~np.isnan(scores)).any(axis=(0, 2))])


def _active_raters(scores: Floats) -> NDArray[np.bool_]:
    """True for each rater who gave a rating, shape (R,)."""
    return np.asarray((~np.isnan(scores)).any(axis=(0, 1)))


def _mean(scores: Floats) -> float:
    """The mean over scales of the mean of item means of the ratings as they are; NaN where a scale has none."""
    ones = np.ones((1, scores.shape[1])), np.ones((1, scores.shape[2]))
    return float(np.mean([_means_of(scale, *ones)[0] for scale in scores]))


def _means_of(scale: Floats, of_items: Floats, of_raters: Floats) -> Floats:
    there = ~np.isnan(scale)
    return _means(np.where(there, scale, 0.0), there, of_items, of_raters)


def _means(scores: Floats, there: NDArray[np.bool_], of_items: Floats, of_raters: Floats) -> Floats:
    """The weighted mean of items' weighted means, shape (B,); items without any rater in a resample are left out."""
    weight = of_raters @ there.T
    summed = of_raters @ scores.T
    rated = weight > 0
    means = np.where(rated, summed / np.where(rated, weight, 1.0), 0.0)
    items = np.where(rated, of_items, 0.0)
    total = items.sum(axis=1)
    mean: Floats = np.where(total > 0, (items * means).sum(axis=1) / np.where(total > 0, total, 1.0), np.nan)
    return mean


def ordinal_alpha(ratings: Floats, dialogues: Integers) -> Estimate:
    """Krippendorff's alpha for ordinal ratings, at most 1; 0 is the agreement of chance.

    Coincidences are counted within items that have two ratings or more; the distance of two values is the squared
    number of ratings between them (Krippendorff, Content Analysis, 2004, chapter 11). The interval resamples dialogues.

    Args:
        ratings: shape (items, raters), whole numbers from 1 to 5 or NaN.
        dialogues: the number of each item's dialogue, shape (items,).

    Returns:
        Nothing where no item has two ratings, or all ratings are the same; no interval for fewer than 5 dialogues.

    >>> ordinal_alpha(np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([0, 1])).value
    1.0
    """
    values = np.arange(LOWEST, HIGHEST + 1)
    counts = (ratings[:, :, None] == values).sum(axis=1).astype(np.float64)
    rated = counts.sum(axis=1)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(values))
    coincidences = pairs / np.maximum(rated - 1, 1)[:, None, None]
    several = rated > 1
    (alpha,) = _over_dialogues(coincidences.reshape(len(ratings), -1)[several], dialogues[several], _alpha, 1)
    return alpha


def _alpha(coincidences: Floats) -> Floats:
    """Alpha of summed coincidence matrices, shape (B, V²) -> (1, B); NaN where undefined."""
    size = HIGHEST - LOWEST + 1
    observed = coincidences.reshape(-1, size, size)
    marginal = observed.sum(axis=2)
    total = marginal.sum(axis=1)
    before = np.cumsum(marginal, axis=1) - marginal / 2
    distance = (before[:, :, None] - before[:, None, :]) ** 2
    expected = (marginal[:, :, None] * marginal[:, None, :] * distance).sum(axis=(1, 2))
    disagreement = (observed * distance).sum(axis=(1, 2))
    # Sums of fractions leave a trace of disagreement where all ratings are the same.
    defined = expected > 1e-9 * np.maximum(total, 1.0) ** 4
    alpha: Floats = 1 - (total - 1) * disagreement / np.where(defined, expected, 1.0)
    return np.where(defined, alpha, np.nan)[None]


@dataclass(frozen=True, slots=True)
class IntraclassCorrelation:
    """Share of the ratings' variance that is that of the items.

    Args:
        single: ICC(2,1), of one rater's ratings.
        mean: ICC(2,k), of the mean of k raters' ratings.
        raters_an_item: k, the harmonic mean of the ratings that items have; None without ratings.
    """

    single: Estimate
    mean: Estimate
    raters_an_item: float | None


def intraclass_correlation(ratings: Floats, dialogues: Integers) -> IntraclassCorrelation:
    """ICC(2,1) and ICC(2,k): two-way random effects, absolute agreement (Shrout and Fleiss 1979).

    The variances of items, raters and the rest are estimated by fitting constants (Henderson's third method, 1953),
    which gives the usual mean squares where everyone rated everything and needs no complete matrix. Intervals resample
    dialogues. Values are below 0 where items differ less than chance would have them.

    Args:
        ratings: shape (items, raters), NaN where there is none.
        dialogues: the number of each item's dialogue, shape (items,).

    Returns:
        No values where the ratings do not tell: nobody rated two items, or no item has two ratings. No intervals for
        fewer than 5 dialogues.
    """
    rated = ~np.isnan(ratings).all(axis=1)
    raters = ratings.shape[1]
    sums = _least_squares_sums(ratings[rated])
    single, mean = _over_dialogues(sums, dialogues[rated], lambda summed: _correlations(summed, raters), 2)
    each = (~np.isnan(ratings[rated])).sum(axis=1)
    return IntraclassCorrelation(single, mean, len(each) / float((1 / each).sum()) if len(each) else None)


def _least_squares_sums(ratings: Floats) -> Floats:
    """Contribution of each item to the sums that the fit needs, shape (items, 4 + 3 R + R²)."""
    present = (~np.isnan(ratings)).astype(np.float64)
    number = present.sum(axis=1)
    values = np.nan_to_num(ratings)
    mean = values.sum(axis=1) / number
    of_pairs = present[:, :, None] * (np.eye(ratings.shape[1]) - present[:, None, :] / number[:, None, None])
    of_items = np.stack([np.ones(len(ratings)), 1 / number, (values**2).sum(axis=1), number * mean**2], axis=1)
    adjusted = values - present * mean[:, None]
    return np.concatenate(
        [of_items, present, values, adjusted, of_pairs.reshape(len(ratings), ratings.shape[1] ** 2)], axis=1
    )


def _correlations(sums: Floats, raters: int) -> Floats:
    """ICC(2,1) and ICC(2,k) of summed contributions, shape (B, K) -> (2, B); NaN where the ratings do not tell."""
    items, inverse, squares, of_items = sums[:, :4].T
    present, values, adjusted, pairs = np.split(sums[:, 4:], (raters, 2 * raters, 3 * raters), axis=1)
    number, active = present.sum(axis=1), (present > 0).sum(axis=1)
    of_raters = (values**2 / np.where(present > 0, present, 1.0)).sum(axis=1)
    roots, vectors = np.linalg.eigh(pairs.reshape(-1, raters, raters))
    independent = roots > 1e-9 * roots[:, -1:]
    along = np.einsum("bij,bi->bj", vectors, adjusted)
    raters_given_items = (np.where(independent, along, 0.0) ** 2 / np.where(independent, roots, 1.0)).sum(axis=1)
    contrasts = independent.sum(axis=1)
    freedom = number - items - contrasts
    enough = (freedom > 0) & (contrasts > 0) & (items + contrasts > active)
    residual = (squares - of_items - raters_given_items) / np.where(enough, freedom, 1.0)
    items_given_raters = of_items + raters_given_items - of_raters
    of_item = (items_given_raters - residual * (items + contrasts - active)) / np.where(enough, number - active, 1.0)
    of_rater = (raters_given_items - residual * contrasts) / np.where(enough, number - items, 1.0)
    noise = of_rater + residual
    return np.stack([_share(of_item, noise, enough), _share(of_item, noise * inverse / items, enough)])


def _share(variance: Floats, noise: Floats, defined: NDArray[np.bool_]) -> Floats:
    """The part of the whole variance, NaN where that is not above rounding."""
    known = defined & (variance + noise > 1e-9)
    return np.where(known, variance / np.where(known, variance + noise, 1.0), np.nan)


def _over_dialogues(
    sums: Floats, dialogues: Integers, statistic: Callable[[Floats], Floats], number: int
) -> list[Estimate]:
    """Estimate statistics of what items add up to, with intervals that resample dialogues.

    Args:
        sums: what each item adds, shape (items, K).
        statistic: sums (B, K) -> that many statistics, shape (number, B).
    """
    if not len(sums):
        return [Estimate(None, None, None)] * number
    kinds, members = np.unique(dialogues, return_inverse=True)
    of_dialogues = np.zeros((len(kinds), sums.shape[1]))
    np.add.at(of_dialogues, members, sums)
    values = statistic(of_dialogues.sum(axis=0, keepdims=True))[:, 0]
    weights = drawn_weights(len(kinds)) if len(kinds) >= FEWEST_CLUSTERS else np.empty((0, len(kinds)))
    rows = max(1, _CELLS_A_BLOCK // sums.shape[1])
    blocks = [statistic(weights[start : start + rows] @ of_dialogues) for start in range(0, len(weights), rows)]
    drawn = np.hstack(blocks) if blocks else np.empty((number, 0))
    return [
        resampled_estimate(float(value), of_one, len(kinds), low=-np.inf)
        for value, of_one in zip(values, drawn, strict=True)
    ]
