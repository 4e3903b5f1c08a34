"""Replies that take no understanding, as trajectories: what a score must be read against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.profiles import Profile
from avemo_harness.metrics.reasoning import extremes
from avemo_harness.metrics.trajectory import BOUNDS, Trajectory

PERMUTATIONS = 20
SHUFFLE_SEED = 20_251_007

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def ideal_balancers(users: Sequence[Trajectory], profile: Profile) -> list[Trajectory]:
    """The user's own trajectories, shifted as the profile asks where the user is extreme: EBS = 1."""
    return [_balanced(user, rows, profile) for user, rows in zip(users, extremes(users, profile), strict=True)]


def constant_replies(users: Sequence[Trajectory]) -> list[Trajectory]:
    """A voice that stays neutral, as long as the user's turn: ESS = 1."""
    return [replace(user, values=np.full_like(user.values, _neutral(user))) for user in users]


def shuffles(dialogues: Sequence[str], seed: int = SHUFFLE_SEED, count: int = PERMUTATIONS) -> Iterator[Indices]:
    """Ways of giving every turn the reply to a turn of another dialogue.

    Args:
        dialogues: the dialogue of each turn.
        seed: of the draws.
        count: how many ways to draw.

    Yields:
        For each turn, the index of the turn whose reply it gets, shape (N,): a permutation. Nothing where there is
        but one dialogue, or one holds more than half of the turns, so that none keeps clear of its own.

    >>> [order.tolist() for order in shuffles(["a", "b"], count=1)]
    [[1, 0]]
    """
    _, members = np.unique(np.array(dialogues, dtype=np.str_), return_inverse=True)
    if not len(members):
        return
    largest = int(np.bincount(members).max())
    if 2 * largest > len(members):
        return
    rng = np.random.default_rng(seed)
    for _ in range(count):
        # Dialogues in a drawn order, the turns of each together: a rotation by at least the largest dialogue's
        # turns leads every turn out of its own.
        shuffled = rng.permutation(int(members.max()) + 1)
        order = np.lexsort((rng.random(len(members)), shuffled[members]))
        given = np.empty_like(order)
        given[order] = np.roll(order, -int(rng.integers(largest, len(members) - largest + 1)))
        yield given


def anchored(score: Floats, shuffled: Floats) -> Floats:
    """``(S - S_shuffled) / (1 - S_shuffled)``: 0 for replies to somebody else, 1 at best, negative where worse.

    NaN where the replies of others score above 0.99 already.
    """
    room = np.where(1 - shuffled < 0.01, np.nan, 1 - shuffled)
    value: Floats = (score - shuffled) / room
    return value


def _balanced(user: Trajectory, rows: NDArray[np.bool_], profile: Profile) -> Trajectory:
    scaled = user.on(profile.scale)
    values = scaled.values.copy()
    for one, extreme in zip(profile.extremes, rows, strict=True):
        if extreme:
            values[:, scaled.columns.index(one.dimension)] += one.shift
    return replace(scaled, values=np.clip(values, *BOUNDS[profile.scale])).on(user.scale)


def _neutral(user: Trajectory) -> float:
    return sum(BOUNDS[user.scale]) / 2
