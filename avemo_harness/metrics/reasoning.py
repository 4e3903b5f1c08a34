"""Emotion of spoken replies against the user's: contagion, balance, stability, and all three together.

The definitions are those of the predecessor's published code (EMO-Reasoning, arXiv 2508.17623), which AV-EMO-Reasoning
(arXiv 2510.07355, section 4) names without equations, made sound where it is not: scores are cut to [0, 1], what is
undefined is NaN and never 1, and the longer of two turns is what a distance is divided by. The parameters are those of
a `Profile`; DTW is `avemo_harness.metrics.dtw`, exact and on one dimension. With user u, reply a, T values each,
L = max(T_u, T_a), D the dimensions, E those in which the user is extreme:

    ECS = clip(1 - K * sum over D of DTW(u_d, a_d) / (2 |D| L))
    EBS = clip(1 - K * sum over E of DTW(clip(u_d + shift_d), a_d) / (|E| L))     undefined where E is empty
    ESS = clip(1 - K * mean of those |a_d[t+1] - a_d[t]| that exceed theta)        1 if none does; undefined if T_a < 2
    ERS = mean of the parts that are defined                                      undefined without ECS or ESS

A mean is beyond a threshold, and a step exceeds theta, where it is so by more than rounding (1e-9 on the unit scale).

All scores are in [0, 1], higher is better, and NaN where undefined: everything for an empty trajectory, EBS for a user
who is not extreme, ESS for a single value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.dtw import dtw_distances
from avemo_harness.metrics.profiles import Extreme, Profile, Weights
from avemo_harness.metrics.trajectory import BOUNDS, Dimension, Floats, Trajectory

NARROWEST_BAND = 2
"""Values by which `contagion_in_band` lets a reply lag at most, where the lengths do not ask for more."""
RATE_STEEPNESS = 2.5
"""By how much a movement of 1 a second lowers `steadiness`."""

Flags = NDArray[np.bool_]
Trajectories = Sequence[Trajectory]


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """A metric of N turns: as defined, and before it was cut to [0, 1]. float64 (N,) each; NaN where undefined."""

    value: Floats
    uncut: Floats


def contagion(users: Trajectories, replies: Trajectories, profile: Profile) -> Score:
    """ECS: whether the reply follows the user's emotion. Blind to lag, since warping absorbs it."""
    return _contagion(_Turns.of(users, profile), _Turns.of(replies, profile), profile, bands=None)


def contagion_in_band(users: Trajectories, replies: Trajectories, profile: Profile) -> Score:
    """ECS with warping limited to ``max(|T_u - T_a|, 2)`` values, so that following late lowers it."""
    heard, said = _Turns.of(users, profile), _Turns.of(replies, profile)
    bands = np.maximum(np.abs(heard.lengths - said.lengths), NARROWEST_BAND)
    return _contagion(heard, said, profile, bands)


def balance(users: Trajectories, replies: Trajectories, profile: Profile) -> Score:
    """EBS: whether the reply is where a shift out of the user's extreme would lead."""
    heard, said = _Turns.of(users, profile), _Turns.of(replies, profile)
    extreme = _extremes(heard, profile)
    total = np.zeros(len(users))
    for one, rows in zip(profile.extremes, extreme.T, strict=True):
        targets = [_shifted(heard.column(one.dimension)[turn], one, profile) for turn in np.flatnonzero(rows)]
        spoken = [said.column(one.dimension)[turn] for turn in np.flatnonzero(rows)]
        total[rows] += dtw_distances(targets, spoken)
    lengths = heard.lengths if profile.balance_length == "user" else np.maximum(heard.lengths, said.lengths)
    counts = extreme.sum(axis=1)
    value = 1 - profile.steepness * total / _or_nan(counts * lengths)
    nothing_to_balance = (counts == 0) & (profile.undefined == "one")
    return _score(np.where(_empty(heard, said), np.nan, np.where(nothing_to_balance, 1.0, value)), profile)


def balance_direction(users: Trajectories, replies: Trajectories, profile: Profile) -> Floats:
    """``EBS_dir``: how much of the shift out of the extreme the reply's mean has made, mean over extreme dimensions.

    0 for a reply that mirrors the user or goes further out, 1 for one that moved by the shift or more: unlike EBS it
    does not punish a reply for being calmer than the target.
    """
    heard, said = _Turns.of(users, profile), _Turns.of(replies, profile)
    extreme = _extremes(heard, profile)
    moved = np.stack(
        [
            np.clip((said.means(one.dimension) - heard.means(one.dimension)) / one.shift, 0, 1)
            for one in profile.extremes
        ],
        axis=1,
    )
    total = np.where(extreme, moved, 0.0).sum(axis=1) / _or_nan(extreme.sum(axis=1))
    return np.where(_empty(heard, said), np.nan, total)


def stability(replies: Trajectories, profile: Profile) -> Score:
    """ESS: how small the reply's large steps are on average. Depends on the rate of the values."""

    def score(steps: Floats) -> float:
        large = steps[steps > profile.step_threshold + profile.rounding]
        return 1 - profile.steepness * float(large.mean()) if large.size else 1.0

    of_one_value = 1.0 if profile.undefined == "one" else np.nan
    return _score(_over_steps(replies, profile, score, of_one_value), profile)


def steadiness(replies: Trajectories, profile: Profile) -> Floats:
    """``ESS_rate = clip(1 - 2.5 rate mean |a_d[t+1] - a_d[t]|)`` on the unit scale: no threshold, alike at any rate."""
    unit = [reply.on("unit") for reply in replies]
    rates = np.array([reply.rate_hz for reply in unit])
    means = _over_steps(unit, profile.on("unit"), lambda steps: float(steps.mean()), np.nan)
    return np.clip(1 - RATE_STEEPNESS * rates * means, 0, 1)


def extremes(users: Trajectories, profile: Profile) -> Flags:
    """In which of the profile's `extremes` each user's turn is extreme by its mean, bool (N, E).

    A turn whose mean is the threshold is not extreme.
    """
    return _extremes(_Turns.of(users, profile), profile)


def distance_to_thresholds(users: Trajectories, profile: Profile) -> Floats:
    """Distance of each turn's means from the thresholds of extremes, on the unit scale, (N, E); NaN for empty turns."""
    turns = _Turns.of(users, profile)
    width = 1.0 if profile.scale == "unit" else 2.0
    return np.stack([np.abs(turns.means(e.dimension) - e.threshold) / width for e in profile.extremes], axis=1)


def reasoning(ecs: Floats, ebs: Floats, ess: Floats, profile: Profile) -> Floats:
    """ERS of each turn from its three parts."""
    return _together(ecs, ebs, ess, profile, profile.weights, profile.weights_without_balance)


def cross_reasoning(ct_ecs: Floats, ct_ebs: Floats, ct_ess: Floats, profile: Profile) -> Floats:
    """CT-ERS of each dialogue from its three parts."""
    return _together(ct_ecs, ct_ebs, ct_ess, profile, profile.cross_weights, profile.cross_weights_without_balance)


def cross_stability(firsts: Trajectories, seconds: Trajectories, profile: Profile) -> Floats:
    """Share of a pair of adjacent replies in CT-ESS: ``sum over D of DTW(a_i, a_i+1) / (2 |D| max(T_i, T_i+1))``.

    ``CT-ESS = clip(1 - K * mean over a dialogue's adjacent replies)``. Shape (N,); NaN where a reply is empty.
    """
    before, after = _Turns.of(firsts, profile), _Turns.of(seconds, profile)
    return _mean_distance(before, after, profile.stability, bands=None)


@dataclass(frozen=True, slots=True, eq=False)
class _Turns:
    """The columns of N trajectories on a profile's scale."""

    columns: dict[Dimension, list[Floats]]
    lengths: NDArray[np.intp]

    @classmethod
    def of(cls, trajectories: Trajectories, profile: Profile) -> _Turns:
        scaled = [trajectory.on(profile.scale) for trajectory in trajectories]
        columns = {
            name: [trajectory.column(name) for trajectory in scaled]
            for name in profile.dimensions
            if all(name in trajectory.columns for trajectory in scaled)
        }
        return cls(columns, np.array([len(trajectory) for trajectory in scaled], dtype=np.intp))

    def column(self, name: Dimension) -> list[Floats]:
        """The values of one dimension, turn by turn.

        Raises:
            ValueError: a trajectory has no such column.
        """
        if name not in self.columns:
            raise ValueError(f"expected a column {name} in every trajectory")
        return self.columns[name]

    def means(self, name: Dimension) -> Floats:
        """The mean of each turn, shape (N,); NaN for empty turns."""
        return np.array([values.mean() if len(values) else np.nan for values in self.column(name)])


def _contagion(heard: _Turns, said: _Turns, profile: Profile, bands: NDArray[np.intp] | None) -> Score:
    distance = _mean_distance(heard, said, profile.contagion, bands)
    return _score(1 - profile.steepness * distance, profile)


def _mean_distance(
    firsts: _Turns, seconds: _Turns, dimensions: Sequence[Dimension], bands: NDArray[np.intp] | None
) -> Floats:
    """Sum of the dimensions' distances over twice their number and the longer turn, shape (N,)."""
    within = None if bands is None else bands.tolist()
    total = sum(
        (dtw_distances(firsts.column(name), seconds.column(name), within) for name in dimensions),
        start=np.zeros(len(firsts.lengths)),
    )
    mean: Floats = total / _or_nan(2 * len(dimensions) * np.maximum(firsts.lengths, seconds.lengths))
    return mean


def _extremes(turns: _Turns, profile: Profile) -> Flags:
    signs = {"below": -1.0, "above": 1.0}
    beyond = [signs[e.side] * (turns.means(e.dimension) - e.threshold) for e in profile.extremes]
    flags: Flags = np.stack(beyond, axis=1) > profile.rounding
    return flags


def _shifted(values: Floats, extreme: Extreme, profile: Profile) -> Floats:
    target = values + extreme.shift
    return np.clip(target, *BOUNDS[profile.scale]) if profile.out_of_range == "cut" else target


def _over_steps(
    replies: Trajectories, profile: Profile, score: Callable[[Floats], float], of_one_value: float
) -> Floats:
    """A statistic of the absolute steps of every reply, over all of the profile's dimensions; NaN for empty replies."""
    turns = _Turns.of(replies, profile)
    values = np.full(len(replies), np.nan)
    values[turns.lengths == 1] = of_one_value
    for turn in np.flatnonzero(turns.lengths > 1):
        steps = [np.abs(np.diff(turns.column(name)[turn])) for name in profile.stability]
        values[turn] = score(np.concatenate(steps))
    return values


def _together(
    ecs: Floats, ebs: Floats, ess: Floats, profile: Profile, weights: Weights | None, without: Weights | None
) -> Floats:
    parts = np.stack([ecs, ebs, ess])
    lacking = np.isnan(ecs) | np.isnan(ess)
    if weights is None or without is None:
        defined = ~np.isnan(parts)
        mean = np.where(defined, parts, 0.0).sum(axis=0) / _or_nan(defined.sum(axis=0))
        return np.where(lacking, np.nan, mean)
    # The predecessor takes a balance of exactly 1 for "nothing to balance".
    factors = [np.array([one.contagion, one.balance, one.stability])[:, None] for one in (weights, without)]
    chosen = np.where(ebs != 1.0, factors[0], factors[1])
    weighted: Floats = (chosen * parts).sum(axis=0)
    return weighted


def _score(value: Floats, profile: Profile) -> Score:
    return Score(np.clip(value, 0, 1) if profile.out_of_range == "cut" else value, value)


def _empty(firsts: _Turns, seconds: _Turns) -> Flags:
    empty: Flags = (firsts.lengths == 0) | (seconds.lengths == 0)
    return empty


def _or_nan(counts: NDArray[np.intp]) -> Floats:
    return np.where(counts > 0, counts, np.nan)
