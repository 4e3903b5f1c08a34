"""Turns whose emotion is plain to see, and their scores one at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from avemo_harness.metrics.profiles import AV_EMO, Profile
from avemo_harness.metrics.reasoning import balance, contagion, stability
from avemo_harness.metrics.trajectory import Dimension, Trajectory

BOTH: tuple[Dimension, ...] = ("valence", "arousal")
ALL_THREE: tuple[Dimension, ...] = (*BOTH, "dominance")

_unit = st.floats(0, 1, allow_nan=False)
points = st.tuples(_unit, _unit)
tables = st.lists(points, min_size=1, max_size=10).map(np.array)


def of(values: np.ndarray, rate_hz: float = 2.0) -> Trajectory:
    """Valence and arousal on the unit scale, shape (T, 2)."""
    return Trajectory(values, BOTH, "unit", rate_hz)


def moving(valence: Sequence[float], arousal: float = 0.5) -> Trajectory:
    """Valence as given, arousal at rest."""
    return of(np.column_stack([valence, np.full(len(valence), arousal)]))


def flat(valence: float, arousal: float = 0.5, length: int = 10) -> Trajectory:
    """A turn that does not move."""
    return moving([valence] * length, arousal)


def signed(valence: float, length: int) -> Trajectory:
    """A constant signed turn that is extreme in valence at most."""
    values = np.tile([valence, 0.0, 0.5], (length, 1))
    return Trajectory(values, ALL_THREE, "signed", 1.0)


def ecs(user: Trajectory, reply: Trajectory, profile: Profile = AV_EMO) -> float:
    """Quality of following, of a reply."""
    return float(contagion([user], [reply], profile).value[0])


def ebs(user: Trajectory, reply: Trajectory, profile: Profile = AV_EMO) -> float:
    """Quality of balancing, of a reply."""
    return float(balance([user], [reply], profile).value[0])


def ess(reply: Trajectory, profile: Profile = AV_EMO) -> float:
    """Stability of a reply."""
    return float(stability([reply], profile).value[0])
