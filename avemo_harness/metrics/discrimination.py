"""Discrimination of emotions by a judge's trajectories: the AUC of ECS, the share of extreme turns, and their movement.

ECS stands for "the reply follows the user's emotion". So of two recordings of different speakers it should be higher
where both have one emotion than where they have two: the AUC is the chance that it is, over every pair of the one kind
against every pair of the other, a tie counting one half (Hanley and McNeil 1982; the statistic of Mann and Whitney). It
is 0.5 for a judge that hears no emotion, and does not depend on any threshold, nor on how steep ECS is.

Intervals resample speakers, since the recordings of one are not independent. A pair counts as often as the draws of its
two speakers multiply to; a speaker drawn twice makes no pair with itself. Half-widths are those of as many speakers as
these are worth by their recordings (Kish 1965; Carter, Schnepel and Steigerwald 2017), since D unequal ones tell less
than D equal ones. Below some 20 speakers they hold the truth less often than they promise, as
`tests/performance/coverage.py` prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import (
    SEED,
    ClusterBootstrap,
    Estimate,
    Interval,
    ItemBootstrap,
    bounded_at_edges,
    percentile_interval,
    widening,
)
from avemo_harness.metrics.profiles import Profile
from avemo_harness.metrics.reasoning import contagion, extremes
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.metrics.trajectory import Dimension, Floats, Trajectory

Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]

MOST_PAIRS = 60_000
"""Pairs that are scored where there are more: drawn once, which moves an AUC by some .003."""
_FEWEST_EFFECTIVE = 2.0
"""Speakers of whom nearly all recordings are one speaker's are taken for so many."""
_DECIMALS = 9
"""Scores are compared rounded to so many, so that equal ones tie whatever order their sums were taken in."""
_CELLS_A_BLOCK = 2**21


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPairs:
    """Pairs of N recordings of different speakers, in ascending order of their ECS.

    Args:
        first, second: the recordings of each pair, by their numbers in [0, N), shape (P,).
        scores: ECS of the one by the other, shape (P,).
        same: whether they have one emotion, bool (P,).
    """

    first: Indices
    second: Indices
    scores: Floats
    same: Flags

    def __len__(self) -> int:
        return len(self.scores)

    def wins(self, weights: Floats) -> Floats:
        """Comparisons won by pairs of one emotion, ties being half won, and all comparisons: (..., 2).

        Args:
            weights: how often each recording counts, at least 0, shape (..., N).
        """
        if not len(self):
            return np.zeros((*weights.shape[:-1], 2))
        rows = weights.reshape(-1, weights.shape[-1])
        ties = np.flatnonzero(np.diff(self.scores, prepend=-np.inf) > 0)
        block = max(1, _CELLS_A_BLOCK // len(self))
        counted = []
        for start in range(0, len(rows), block):
            part = rows[start : start + block]
            pairs = part[:, self.first] * part[:, self.second]
            same = np.add.reduceat(pairs * self.same, ties, axis=1)
            other = np.add.reduceat(pairs * ~self.same, ties, axis=1)
            won = (same * (np.cumsum(other, axis=1) - other / 2)).sum(axis=1)
            counted.append(np.stack([won, same.sum(axis=1) * other.sum(axis=1)], axis=1))
        return np.concatenate(counted).reshape(*weights.shape[:-1], 2)


def score_pairs(
    trajectories: Sequence[Trajectory],
    labels: Sequence[str],
    speakers: Sequence[str],
    profile: Profile,
    most: int | None = None,
) -> ScoredPairs:
    """Score every pair of recordings of different speakers, each recording once as the user and once as the reply.

    ECS is the same either way, so a pair stands once. Pairs with an empty trajectory have no ECS and are left out.

    Args:
        trajectories, labels, speakers: of N recordings.
        most: score about so many of more pairs, drawn by a fixed seed; None for all.

    Raises:
        ValueError: the numbers differ, or a trajectory lacks a dimension of the profile.
    """
    if not len(trajectories) == len(labels) == len(speakers):
        raise ValueError(
            f"expected a label and a speaker of each of {len(trajectories)} recordings, found {len(labels)} labels "
            f"and {len(speakers)} speakers"
        )
    first, second = _pairs_of_different(speakers, most)
    scores = contagion([trajectories[i] for i in first], [trajectories[i] for i in second], profile).value
    defined = ~np.isnan(scores)
    first, second, scores = first[defined], second[defined], scores[defined].round(_DECIMALS)
    _, emotions = np.unique(np.array(labels, dtype=np.str_), return_inverse=True)
    order = np.argsort(scores, kind="stable")
    first, second = first[order], second[order]
    return ScoredPairs(first, second, scores[order], emotions[first] == emotions[second])


def _pairs_of_different(speakers: Sequence[str], most: int | None) -> tuple[Indices, Indices]:
    """The two recordings of each pair (i, j), i < j, whose speakers differ; of about `most`, where there are more."""
    count = len(speakers) * (len(speakers) - 1) // 2
    if most is None or count <= most:
        numbers = np.arange(count)
    else:
        numbers = np.sort(np.random.default_rng(SEED).choice(count, most, replace=False))
    # Pairs are numbered (0, 1), (0, 2), (1, 2), (0, 3), …: the first one of j has the number j (j - 1) / 2.
    second = ((1 + np.sqrt(1 + 8.0 * numbers)) // 2).astype(np.intp)
    first = (numbers - second * (second - 1) // 2).astype(np.intp)
    _, names = np.unique(np.array(speakers, dtype=np.str_), return_inverse=True)
    differ = names[first] != names[second] if count else np.zeros(0, dtype=bool)
    return first[differ], second[differ]


def ecs_auc(
    trajectories: Sequence[Trajectory], labels: Sequence[str], speakers: Sequence[str], profile: Profile
) -> float:
    """The chance that ECS is higher for two speakers of one emotion than for two of different ones, in [0, 1].

    Args:
        trajectories, labels, speakers: of N recordings.

    Returns:
        NaN where there is no pair of the one kind, or none of the other.

    Raises:
        ValueError: the numbers differ, or a trajectory lacks a dimension of the profile.

    >>> from avemo_harness.metrics.profiles import AV_EMO
    >>> def steady(arousal):
    ...     return Trajectory(np.full((4, 2), arousal), ("valence", "arousal"), "unit", 2.0)
    >>> ecs_auc([steady(0.8), steady(0.8), steady(0.2)], ["angry", "angry", "sad"], ["ann", "ben", "cem"], AV_EMO)
    1.0
    >>> ecs_auc([steady(0.5), steady(0.5), steady(0.5)], ["angry", "angry", "sad"], ["ann", "ben", "cem"], AV_EMO)
    0.5
    """
    pairs = score_pairs(trajectories, labels, speakers, profile)
    return float(_won_share(pairs.wins(np.ones(len(trajectories)))))


def _won_share(wins: Floats) -> Floats:
    compared = wins[..., 1]
    return np.where(compared > 0, wins[..., 0] / np.where(compared > 0, compared, 1.0), np.nan)


def ecs_auc_estimate(
    trajectories: Sequence[Trajectory],
    labels: Sequence[str],
    speakers: Sequence[str],
    profile: Profile,
    judges: Sequence[int] | None = None,
    most: int | None = MOST_PAIRS,
) -> tuple[Estimate, int]:
    """`ecs_auc` with its interval over resampled speakers, and the number of pairs that it is made of.

    Args:
        trajectories, labels, speakers: of N recordings.
        judges: which judge made each trajectory, as in a cross-validation; pairs are made, and compared, within those
            of one judge alone. None for one judge.
        most: pairs to score at most, of all judges together; None for all.
    """
    made_by = np.zeros(len(trajectories), dtype=np.intp) if judges is None else np.asarray(judges, dtype=np.intp)
    of_judges = [np.flatnonzero(made_by == judge).tolist() for judge in np.unique(made_by)]
    share = None if most is None else max(1, most // max(1, len(of_judges)))
    scored = [
        (
            members,
            score_pairs(
                [trajectories[i] for i in members],
                [labels[i] for i in members],
                [speakers[i] for i in members],
                profile,
                share,
            ),
        )
        for members in of_judges
    ]

    def statistic(weights: Floats) -> Floats:
        return _won_share(sum((pairs.wins(weights[..., members]) for members, pairs in scored), start=np.zeros(2)))

    number = sum(len(pairs) for _, pairs in scored)
    members = _numbers(speakers)
    return bounded_at_edges(ItemBootstrap(members).estimate(statistic, _interval_of_unequal(members))), number


def effective_number(sizes: Sequence[int]) -> float:
    """As many clusters of equal size as clusters of these sizes are worth: ``sum(n)^2 / sum(n^2)`` (Kish 1965).

    >>> effective_number([4, 4, 4]), effective_number([10, 1, 1])
    (3.0, 1.411764705882353)
    """
    return float(sum(sizes) ** 2 / sum(size**2 for size in sizes))


def _interval_of_unequal(members: NDArray[np.int64]) -> Interval:
    """Percentile interval that, widened for the number of clusters, is widened for their effective number.

    Args:
        members: the number of each item's cluster, at least one.
    """
    sizes = np.bincount(members).tolist()

    def interval(value: float, drawn: Floats) -> tuple[float, float]:
        further = widening(max(_FEWEST_EFFECTIVE, effective_number(sizes))) / widening(len(sizes))
        low, high = percentile_interval(value, drawn)
        return value - (value - low) * further, value + (high - value) * further

    return interval


def extreme_share(turns: Sequence[Trajectory], speakers: Sequence[str], profile: Profile) -> Estimate:
    """The share of turns that are extreme in a dimension, as EBS takes users' turns, with an interval over speakers.

    Near 1 or 0 the profile's thresholds tell a judge's turns from each other no longer.

    Args:
        turns, speakers: of N turns; empty ones do not count.
    """
    known = [i for i, turn in enumerate(turns) if len(turn)]
    if not known:
        return Estimate(None, None, None)
    hits = extremes([turns[i] for i in known], profile).any(axis=1)
    members = _numbers([speakers[i] for i in known])
    return share_estimate(np.bincount(members, weights=hits).astype(float), np.bincount(members).astype(float))


def mean_movement(trajectories: Sequence[Trajectory], speakers: Sequence[str], dimension: Dimension) -> Estimate:
    """Movement of a dimension within a recording: mean over recordings of the standard deviation of its values.

    Population deviations on the unit scale, in [0, 0.5]; recordings of fewer than two values do not count. The interval
    is over speakers. Near 0 the judge gives a recording one place, and ESS says little.

    Args:
        trajectories, speakers: of N recordings.
    """
    known = [i for i, trajectory in enumerate(trajectories) if len(trajectory) > 1]
    if not known:
        return Estimate(None, None, None)
    deviations = np.array([trajectories[i].on("unit").column(dimension).std() for i in known])
    members = _numbers([speakers[i] for i in known])
    counts = np.stack([np.bincount(members), np.bincount(members, weights=deviations)], axis=1).astype(np.float64)
    return bounded_at_edges(ClusterBootstrap(counts).estimate(lambda sums: sums[:, 1] / sums[:, 0], high=0.5), high=0.5)


def _numbers(speakers: Sequence[str]) -> NDArray[np.int64]:
    """The number of each one's speaker, shape (N,)."""
    found: NDArray[np.int64] = np.unique(np.array(speakers, dtype=np.str_), return_inverse=True)[1].astype(np.int64)
    return found
