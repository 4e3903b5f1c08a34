"""From scores of turns to scores of dialogues: CT-ECS, CT-EBS, CT-ESS and CT-ERS.

    CT-ECS = mean ECS over turns                    CT-EBS = mean EBS over the turns where it is defined
    CT-ESS = clip(1 - K * mean over adjacent replies of sum over D of DTW(a_i, a_i+1) / (2 |D| max(T_i, T_i+1)))
    CT-ERS = mean of the parts that are defined; undefined without CT-ECS or CT-ESS

The sources are those of `avemo_harness.metrics.reasoning`. In [0, 1], higher is better; NaN where undefined: CT-EBS
without an extreme turn, CT-ESS without two adjacent replies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.profiles import Profile
from avemo_harness.metrics.reasoning import (
    Score,
    balance,
    contagion,
    cross_reasoning,
    cross_stability,
    reasoning,
    stability,
)
from avemo_harness.metrics.trajectory import Floats, Trajectory

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class TurnScores:
    """The metrics of N turns, float64 (N,) each; NaN where undefined."""

    ecs: Score
    ebs: Score
    ess: Score
    ers: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DialogueScores:
    """The metrics of D dialogues, float64 (D,) each; NaN where undefined.

    Attributes:
        dialogues: whose scores they are, in order of their names.
    """

    dialogues: tuple[str, ...]
    ct_ecs: Floats
    ct_ebs: Floats
    ct_ess: Floats
    ct_ers: Floats


def score_turns(users: Sequence[Trajectory], replies: Sequence[Trajectory], profile: Profile) -> TurnScores:
    """Score each reply against the user's turn before it.

    Raises:
        ValueError: the numbers differ, or a trajectory lacks a dimension of the profile.

    >>> from avemo_harness.metrics.profiles import AV_EMO
    >>> calm = Trajectory(np.full((4, 2), 0.5), ("valence", "arousal"), "unit", 2.0)
    >>> scores = score_turns([calm], [calm], AV_EMO)
    >>> scores.ecs.value, scores.ebs.value, scores.ers
    (array([1.]), array([nan]), array([1.]))
    """
    if len(users) != len(replies):
        raise ValueError(f"expected a reply to each of {len(users)} turns, found {len(replies)}")
    ecs, ebs = contagion(users, replies, profile), balance(users, replies, profile)
    ess = stability(replies, profile)
    return TurnScores(ecs, ebs, ess, reasoning(ecs.value, ebs.value, ess.value, profile))


def score_dialogues(
    turns: TurnScores,
    replies: Sequence[Trajectory],
    dialogues: Sequence[str],
    turn_numbers: Sequence[int],
    profile: Profile,
) -> DialogueScores:
    """Score dialogues from the scores of their turns.

    Args:
        turns, replies: of N turns, in any order.
        dialogues: the dialogue of each turn.
        turn_numbers: of each among its dialogue's user turns, from 0 on; replies to turns whose numbers follow each
            other are adjacent.
    """
    names, members = np.unique(np.array(dialogues, dtype=np.str_), return_inverse=True)
    firsts, seconds = _adjacent(members, np.asarray(turn_numbers, dtype=np.intp))
    distances = cross_stability([replies[i] for i in firsts], [replies[i] for i in seconds], profile)
    ct_ecs = dialogue_means(turns.ecs.value, members, len(names))
    ct_ess = 1 - profile.steepness * dialogue_means(distances, members[firsts], len(names))
    ebs = turns.ebs.value
    if profile.undefined == "one":
        ct_ebs = dialogue_means(np.where(ebs == 1.0, np.nan, ebs), members, len(names))
        ct_ebs, ct_ess = np.nan_to_num(ct_ebs, nan=1.0), np.nan_to_num(ct_ess, nan=1.0)
    else:
        ct_ebs = dialogue_means(ebs, members, len(names))
    if profile.out_of_range == "cut":
        ct_ess = np.clip(ct_ess, 0, 1)
    ct_ers = cross_reasoning(ct_ecs, ct_ebs, ct_ess, profile)
    return DialogueScores(tuple(names.tolist()), ct_ecs, ct_ebs, ct_ess, ct_ers)


def _adjacent(members: Indices, turn_numbers: Indices) -> tuple[Indices, Indices]:
    """Pairs of turns of one dialogue whose turn_numbers follow each other."""
    order = np.lexsort((turn_numbers, members))
    first, second = order[:-1], order[1:]
    follows = (members[first] == members[second]) & (turn_numbers[second] == turn_numbers[first] + 1)
    return first[follows], second[follows]


def dialogue_means(values: Floats, members: Indices, count: int) -> Floats:
    """Mean of the defined values of each dialogue, shape (count,); NaN where there are none."""
    defined = ~np.isnan(values)
    n = np.bincount(members[defined], minlength=count)
    sums = np.bincount(members[defined], weights=values[defined], minlength=count)
    return np.where(n > 0, sums / np.maximum(n, 1), np.nan)
