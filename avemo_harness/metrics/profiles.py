"""The parameters of the reasoning metrics, as named sets that know the scale they were set on.

A distance on [-1, 1] is twice that on [0, 1], so a parameter means nothing without its scale: where trajectories go
from one to the other, K doubles or halves, thresholds of steps and shifts with them, and equal scores result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from avemo_harness.metrics.trajectory import ROUNDING, Dimension, Scale, Trajectory

ProfileName = Literal["av_emo", "calibrated", "emo_reasoning", "emo_reasoning_unit"]
CalibrationSource = Literal["ratings", "predictions"]


@dataclass(frozen=True, slots=True)
class Extreme:
    """When a user's turn is extreme in a dimension, and where a balancing reply would take it.

    Args:
        side: on which side of the threshold the turn's mean is extreme.
        shift: added to the user's trajectory to give the target of a balancing reply.
    """

    dimension: Dimension
    side: Literal["below", "above"]
    threshold: float
    shift: float


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the parts of ERS. None stands for equal weights of those that are defined."""

    contagion: float
    balance: float
    stability: float


@dataclass(frozen=True, slots=True)
class Profile:
    """A definition of the reasoning metrics (`avemo_harness.metrics.reasoning`).

    Args:
        name: how results call it.
        scale: what every number here is measured on.
        rate_hz: values a second that `step_threshold` is set for.
        steepness: K, by how much a distance lowers a score.
        step_threshold: theta; smaller steps from value to value do not count against stability.
        extremes: of the dimensions that can be extreme.
        contagion: dimensions of ECS.
        stability: dimensions of ESS and CT-ESS.
        weights, weights_without_balance: of a turn's ERS; the latter where nothing is to be balanced.
        cross_weights, cross_weights_without_balance: of a dialogue's CT-ERS.
        balance_length: what the distance of EBS is divided by: the longer of the two turns, or the user's.
        out_of_range: whether scores and targets beyond the scale are cut to it or kept.
        undefined: what stands for "nothing to balance" and for the stability of a single value.
    """

    name: str
    scale: Scale
    rate_hz: float
    steepness: float
    step_threshold: float
    extremes: tuple[Extreme, ...]
    contagion: tuple[Dimension, ...] = ("valence", "arousal")
    stability: tuple[Dimension, ...] = ("valence", "arousal")
    weights: Weights | None = None
    weights_without_balance: Weights | None = None
    cross_weights: Weights | None = None
    cross_weights_without_balance: Weights | None = None
    balance_length: Literal["longer", "user"] = "longer"
    out_of_range: Literal["cut", "kept"] = "cut"
    undefined: Literal["null", "one"] = "null"

    def on(self, scale: Scale) -> Profile:
        """The profile that gives equal scores to trajectories carried to another scale.

        >>> EMO_REASONING.on("unit").steepness, EMO_REASONING.on("unit").step_threshold
        (10.0, 0.02)
        """
        if scale == self.scale:
            return self
        factor = 0.5 if scale == "unit" else 2.0
        offset = 0.5 if scale == "unit" else -1.0
        return replace(
            self,
            scale=scale,
            steepness=self.steepness / factor,
            step_threshold=self.step_threshold * factor,
            extremes=tuple(
                replace(one, threshold=one.threshold * factor + offset, shift=one.shift * factor)
                for one in self.extremes
            ),
        )

    @property
    def rounding(self) -> float:
        """Differences from a threshold that are none: `ROUNDING` of the unit scale, on the profile's own."""
        return ROUNDING if self.scale == "unit" else 2 * ROUNDING

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Every dimension that the profile looks at."""
        of_extremes = tuple(one.dimension for one in self.extremes)
        return tuple(dict.fromkeys((*self.contagion, *self.stability, *of_extremes)))

    def problem(self, trajectory: Trajectory) -> str | None:
        """The reason why a trajectory cannot be scored under this profile; None where it can.

        >>> EMO_REASONING.problem(Trajectory(np.zeros((2, 2)), ("valence", "arousal"), "signed", 1.0))
        'it needs dominance, which the recogniser does not give'
        """
        if missing := [name for name in self.dimensions if name not in trajectory.columns]:
            return f"it needs {', '.join(missing)}, which the recogniser does not give"
        if trajectory.rate_hz != self.rate_hz:
            return f"it needs {self.rate_hz:g} values a second, the recogniser gives {trajectory.rate_hz:g}"
        return None


AV_EMO = Profile(
    name="av_emo",
    scale="unit",
    rate_hz=2.0,
    steepness=5.0,
    step_threshold=0.04,
    extremes=(Extreme("valence", "below", 0.465, 0.1055), Extreme("arousal", "above", 0.6725, -0.0525)),
)
"""The benchmark's default (AV-EMO-Reasoning, arXiv 2510.07355): the unit scale with the only constants ever published,
of which the paper does not say the scale; K and theta are taken as they stand."""

EMO_REASONING = Profile(
    name="emo_reasoning",
    scale="signed",
    rate_hz=1.0,
    steepness=5.0,
    step_threshold=0.04,
    extremes=(
        Extreme("valence", "below", -0.07, 0.211),
        Extreme("arousal", "above", 0.345, -0.105),
        Extreme("dominance", "below", 0.210, 0.098),
    ),
    stability=("valence", "arousal", "dominance"),
    weights=Weights(0.4, 0.4, 0.2),
    weights_without_balance=Weights(0.7, 0.0, 0.3),
    cross_weights=Weights(0.35, 0.35, 0.3),
    cross_weights_without_balance=Weights(0.6, 0.0, 0.4),
    balance_length="user",
    out_of_range="kept",
    undefined="one",
)
"""The predecessor's definition (EMO-Reasoning, arXiv 2508.17623, its published code) with exact time warping. Scores
may leave [0, 1], and 1.0 also stands for "not applicable"."""

EMO_REASONING_UNIT = replace(EMO_REASONING.on("unit"), name="emo_reasoning_unit")
"""The same on the unit scale."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds of extreme turns and of large steps for one recogniser, on the unit scale.

    Args:
        v_low, a_high: 0.30 quantile of the turns' mean valence, 0.70 quantile of their mean arousal.
        delta_v, delta_a: median of all turns less the median of the extreme ones.
        theta: 0.90 quantile of the absolute steps from value to value.
        n_turns: how many turns.
        corpus: whose turns.
        rate_hz: values a second.
        source: the ratings that it was trained on, or its own predictions for speakers that it was not trained on.
    """

    v_low: float
    a_high: float
    delta_v: float
    delta_a: float
    theta: float
    n_turns: int
    corpus: str
    rate_hz: float
    # Not in the representation, which is part of a judge's identity: other numbers tell it apart already.
    source: CalibrationSource = field(default="ratings", repr=False)

    def problem(self) -> str | None:
        """Why no profile can be made of it; None where one can.

        A shift of zero would give a balance of 1 to a reply that mirrors a user in distress.

        >>> Calibration(0.4, 0.6, 0.2, 0.0, 0.05, 100, "corpus", 2.0).problem()
        'delta_a is 0: the turns of highest arousal are no higher than all of them'
        """
        numbers = (self.v_low, self.a_high, self.delta_v, self.delta_a, self.theta, self.rate_hz)
        if not all(map(math.isfinite, numbers)):
            return "it holds what is not a number"
        if self.delta_v <= ROUNDING:
            return f"delta_v is {_zero(self.delta_v)}: the turns of lowest valence are no lower than all of them"
        if self.delta_a >= -ROUNDING:
            return f"delta_a is {_zero(self.delta_a)}: the turns of highest arousal are no higher than all of them"
        if self.theta <= ROUNDING:
            return f"theta is {_zero(self.theta)}: at least nine in ten steps from value to value are 0"
        if self.rate_hz <= 0:
            return f"its rate is {self.rate_hz:g} values a second"
        return None


def _zero(value: float) -> str:
    return "0" if abs(value) <= ROUNDING else f"{value:g}"


def calibrate(turns: Sequence[Trajectory], corpus: str, source: CalibrationSource = "ratings") -> Calibration:
    """Take the thresholds of the profile `calibrated` from turns as they were rated, or predicted.

    Whether a profile can be made of them is for `Calibration.problem` to say.

    Raises:
        ValueError: there are no turns, none is longer than one value, or their rates differ.
    """
    rated = [turn.on("unit") for turn in turns if len(turn)]
    if len({turn.rate_hz for turn in rated}) != 1 or all(len(turn) < 2 for turn in rated):
        raise ValueError("expected turns of one rate, some of at least two values")
    means = {name: np.array([turn.column(name).mean() for turn in rated]) for name in AV_EMO.contagion}
    v_low, a_high = np.quantile(means["valence"], 0.30), np.quantile(means["arousal"], 0.70)
    # A quantile may be one of the values but for rounding, and its tail must not be empty.
    low, high = means["valence"] <= v_low + ROUNDING, means["arousal"] >= a_high - ROUNDING
    steps = [np.abs(np.diff(turn.column(name))) for turn in rated for name in AV_EMO.stability]
    return Calibration(
        v_low=float(v_low),
        a_high=float(a_high),
        delta_v=float(np.median(means["valence"]) - np.median(means["valence"][low])),
        delta_a=float(np.median(means["arousal"]) - np.median(means["arousal"][high])),
        theta=float(np.quantile(np.concatenate(steps), 0.90)),
        n_turns=len(rated),
        corpus=corpus,
        rate_hz=rated[0].rate_hz,
        source=source,
    )


def calibrated_profile(calibration: Calibration) -> Profile:
    """The profile `calibrated`: the benchmark's definition with a recogniser's own thresholds.

    Raises:
        ValueError: the calibration's `problem`.
    """
    if problem := calibration.problem():
        raise ValueError(problem)
    return replace(
        AV_EMO,
        name="calibrated",
        rate_hz=calibration.rate_hz,
        step_threshold=calibration.theta,
        extremes=(
            Extreme("valence", "below", calibration.v_low, calibration.delta_v),
            Extreme("arousal", "above", calibration.a_high, calibration.delta_a),
        ),
    )


PROFILES: dict[str, Profile] = {one.name: one for one in (AV_EMO, EMO_REASONING, EMO_REASONING_UNIT)}
"""The fixed profiles by name; `calibrated` is made from a recogniser's calibration."""
