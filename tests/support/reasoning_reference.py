"""The reasoning metrics as plain loops over one turn after the other: what the vectorised ones must equal.

A turn is its values by dimension. Undefined is None. `predecessor_*` follow the published code of EMO-Reasoning
(arXiv 2508.17623) with exact time warping, on the signed scale; `benchmark_*` the definitions that stand in
`avemo_harness.metrics`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from avemo_harness.metrics.profiles import Profile
from avemo_harness.metrics.trajectory import Dimension, Trajectory

Turn = Mapping[Dimension, Sequence[float]]


@dataclass(frozen=True)
class Parts:
    """The scores of a turn, or those across the turns of a dialogue."""

    contagion: float | None
    balance: float | None
    stability: float | None
    together: float | None


def as_trajectory(turn: Turn, profile: Profile) -> Trajectory:
    """A turn as the metrics take it, on the scale and at the rate of a profile."""
    values = np.array([turn[name] for name in turn], dtype=np.float64).T
    return Trajectory(values, tuple(turn), profile.scale, profile.rate_hz)


def warped_distance(x: Sequence[float], y: Sequence[float], band: int | None = None) -> float:
    """Time warping as it is defined, a cell at a time."""
    best = {(-1, -1): 0.0}
    for i in range(len(x)):
        for j in range(len(y)):
            if band is None or abs(i - j) <= band:
                before = (best.get(cell, math.inf) for cell in ((i - 1, j), (i, j - 1), (i - 1, j - 1)))
                best[i, j] = min(before) + abs(x[i] - y[j])
    return best[len(x) - 1, len(y) - 1]


def predecessor_turn(user: Turn, reply: Turn) -> Parts:
    """ECS, EBS, ESS and ERS of a reply."""
    heard, said = len(user["valence"]), len(reply["valence"])
    apart = sum(warped_distance(user[name], reply[name]) for name in ("valence", "arousal"))
    contagion = 1 - 5 * apart / (4 * max(heard, said))
    shifts: dict[Dimension, float] = {}
    if _mean(user["valence"]) < -0.07:
        shifts["valence"] = 0.211
    if _mean(user["arousal"]) > 0.345:
        shifts["arousal"] = -0.105
    if _mean(user["dominance"]) < 0.210:
        shifts["dominance"] = 0.098
    balance = 1.0
    if shifts:
        missed = sum(warped_distance([x + by for x in user[name]], reply[name]) for name, by in shifts.items())
        balance = 1 - 5 / len(shifts) * missed / heard
    stability = _stability(reply, ("valence", "arousal", "dominance"), 0.04)
    stability = 1.0 if stability is None else stability
    if balance != 1.0:
        return Parts(contagion, balance, stability, 0.4 * contagion + 0.4 * balance + 0.2 * stability)
    return Parts(contagion, balance, stability, 0.7 * contagion + 0.3 * stability)


def predecessor_dialogue(users: Sequence[Turn], replies: Sequence[Turn]) -> Parts:
    """CT-ECS, CT-EBS, CT-ESS and CT-ERS of a dialogue of at least two turns."""
    turns = [predecessor_turn(user, reply) for user, reply in zip(users, replies, strict=True)]
    contagion = _mean([turn.contagion for turn in turns])
    balances = [turn.balance for turn in turns if turn.balance != 1.0]
    stability = 1 - 5 * _mean(_changes(replies, ("valence", "arousal", "dominance")))
    if balances:
        balance = _mean(balances)
        return Parts(contagion, balance, stability, 0.35 * contagion + 0.35 * balance + 0.3 * stability)
    return Parts(contagion, 1.0, stability, 0.6 * contagion + 0.4 * stability)


def benchmark_turn(user: Turn, reply: Turn) -> Parts:
    """ECS, EBS, ESS and ERS of a reply under the profile `av_emo`."""
    heard, said = len(user["valence"]), len(reply["valence"])
    if not heard or not said:
        return Parts(None, None, _benchmark_stability(reply), None)
    longer = max(heard, said)
    apart = sum(warped_distance(user[name], reply[name]) for name in ("valence", "arousal"))
    contagion = _cut(1 - 5 * apart / (2 * 2 * longer))
    shifts: dict[Dimension, float] = {}
    if _mean(user["valence"]) < 0.465:
        shifts["valence"] = 0.1055
    if _mean(user["arousal"]) > 0.6725:
        shifts["arousal"] = -0.0525
    balance = None
    if shifts:
        missed = sum(warped_distance([_cut(x + by) for x in user[name]], reply[name]) for name, by in shifts.items())
        balance = _cut(1 - 5 * missed / (len(shifts) * longer))
    stability = _benchmark_stability(reply)
    return Parts(contagion, balance, stability, _average(contagion, balance, stability))


def benchmark_dialogue(users: Sequence[Turn], replies: Sequence[Turn]) -> Parts:
    """CT-ECS, CT-EBS, CT-ESS and CT-ERS of a dialogue under the profile `av_emo`."""
    turns = [benchmark_turn(user, reply) for user, reply in zip(users, replies, strict=True)]
    followed = [turn.contagion for turn in turns if turn.contagion is not None]
    balanced = [turn.balance for turn in turns if turn.balance is not None]
    changes = _changes(replies, ("valence", "arousal"))
    contagion = _mean(followed) if followed else None
    balance = _mean(balanced) if balanced else None
    stability = _cut(1 - 5 * _mean(changes)) if changes else None
    return Parts(contagion, balance, stability, _average(contagion, balance, stability))


def _benchmark_stability(reply: Turn) -> float | None:
    stability = _stability(reply, ("valence", "arousal"), 0.04)
    return None if stability is None else _cut(stability)


def _stability(reply: Turn, dimensions: Sequence[Dimension], threshold: float) -> float | None:
    """From the mean of the steps that are large; None where there are no steps at all."""
    steps = [abs(b - a) for name in dimensions for a, b in pairwise(reply[name])]
    large = [step for step in steps if step > threshold]
    if not steps:
        return None
    return 1 - 5 * _mean(large) if large else 1.0


def _changes(replies: Sequence[Turn], dimensions: Sequence[Dimension]) -> list[float]:
    """From each reply to the next, where both were spoken."""
    changes = []
    for first, second in pairwise(replies):
        lengths = len(first["valence"]), len(second["valence"])
        if min(lengths):
            apart = sum(warped_distance(first[name], second[name]) for name in dimensions)
            changes.append(apart / (2 * len(dimensions) * max(lengths)))
    return changes


def _average(contagion: float | None, balance: float | None, stability: float | None) -> float | None:
    if contagion is None or stability is None:
        return None
    return _mean([contagion, stability] if balance is None else [contagion, balance, stability])


def _cut(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
