"""Trajectories of emotion: valence, arousal and dominance over time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Dimension = Literal["valence", "arousal", "dominance"]
Scale = Literal["unit", "signed"]
"""unit: [0, 1] with 0.5 = neutral; signed: [-1, 1] with 0 = neutral."""

BOUNDS: dict[Scale, tuple[float, float]] = {"unit": (0.0, 1.0), "signed": (-1.0, 1.0)}

OVERSHOOT = 0.05
"""By how much a value may leave its scale and still be clipped, as it happens to recognisers of unbounded output."""
ROUNDING = 1e-9
"""Within so much a value on the unit scale is taken to be equal to a threshold: the mean of equal values is not always
exactly that value."""


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """The emotion of one utterance, `rate_hz` values a second.

    Args:
        values: float64 (T, D); T may be 0. Always finite and within the scale: a value beyond it by at most `OVERSHOOT`
            is clipped.
        columns: name of each column; order means nothing.
        scale: what the values are measured on.
        n_clipped: how many values were clipped.

    Raises:
        ValueError: the shape does not fit the columns, a name is unknown or occurs twice, or a value is not a number
            or further outside the scale.

    >>> Trajectory(np.array([[0.5, 0.75]]), ("valence", "arousal"), "unit", 2.0).column("arousal")
    array([0.75])
    """

    values: Floats
    columns: tuple[Dimension, ...]
    scale: Scale
    rate_hz: float
    n_clipped: int = field(default=0)

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.columns) or not self.columns:
            raise ValueError(
                f"expected values of shape (T, {len(self.columns)}) for the columns {', '.join(self.columns)}, "
                f"found {self.values.shape}"
            )
        if len(set(self.columns)) != len(self.columns) or not set(self.columns) <= set(get_args(Dimension)):
            raise ValueError(f"expected distinct columns of {get_args(Dimension)}, found {self.columns}")
        if not self.rate_hz > 0:
            raise ValueError(f"expected a positive number of values a second, found {self.rate_hz}")
        low, high = BOUNDS[self.scale]
        outside = ~((self.values >= low) & (self.values <= high))
        if outside.any():
            self._clip(outside, low, high)

    def _clip(self, outside: NDArray[np.bool_], low: float, high: float) -> None:
        # Rounding must not decide what is exactly OVERSHOOT beyond; a NaN compares false and is wrong.
        margin = OVERSHOOT + ROUNDING
        wrong = ~((self.values >= low - margin) & (self.values <= high + margin))
        if wrong.any():
            step, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"expected values in [{low:g}, {high:g}] ({self.scale} scale), found {self.columns[column]} = "
                f"{self.values[step, column]} at step {step}"
            )
        object.__setattr__(self, "values", np.clip(self.values, low, high))
        object.__setattr__(self, "n_clipped", self.n_clipped + int(outside.sum()))

    def __len__(self) -> int:
        return len(self.values)

    def column(self, name: Dimension) -> Floats:
        """The values of one dimension, shape (T,).

        Raises:
            ValueError: there is no such column.
        """
        if name not in self.columns:
            raise ValueError(f"expected a column {name}, found {', '.join(self.columns)}")
        values: Floats = self.values[:, self.columns.index(name)]
        return values

    def on(self, scale: Scale) -> Trajectory:
        """The same trajectory measured on another scale: x on [-1, 1] is (x + 1) / 2 on [0, 1]."""
        if scale == self.scale:
            return self
        values = (self.values + 1) / 2 if scale == "unit" else 2 * self.values - 1
        return replace(self, values=values, scale=scale)


def count_steps(duration_s: float, rate_hz: float) -> int:
    """Values of a trajectory of an utterance: ``max(1, round(rate * duration))``, 0 where it has no length."""
    return max(1, round(rate_hz * duration_s)) if duration_s > 0 else 0


def step_times(count: int, rate_hz: float) -> Floats:
    """The middles of the steps in seconds, shape (count,).

    >>> step_times(2, 2.0)
    array([0.25, 0.75])
    """
    times: Floats = (np.arange(count, dtype=np.float64) + 0.5) / rate_hz
    return times
