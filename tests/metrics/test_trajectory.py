"""Trajectories: finite, within their scale, and read by the names of their columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from avemo_harness.metrics.trajectory import Scale, Trajectory, count_steps, step_times

BOTH = ("valence", "arousal")


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.06, 1.06])
def test_a_value_off_the_scale_is_refused_with_its_place(value: float) -> None:
    values = np.array([[0.5, 0.5], [0.5, value]])
    with pytest.raises(
        ValueError, match=rf"expected values in \[0, 1\] \(unit scale\), found arousal = {value} at step 1"
    ):
        Trajectory(values, BOTH, "unit", 2.0)


@pytest.mark.parametrize(("scale", "low"), [("unit", 0.0), ("signed", -1.0)])
def test_a_value_a_little_off_the_scale_is_clipped_and_counted(scale: Scale, low: float) -> None:
    values = np.array([[low - 0.05, 0.5], [0.5, 1.02], [low, 1.05]])
    one = Trajectory(values, BOTH, scale, 2.0)
    assert one.values.tolist() == [[low, 0.5], [0.5, 1.0], [low, 1.0]]
    assert one.n_clipped == 3
    assert one.on("signed").on("unit").n_clipped == 3, "wherever it is carried"
    assert values[1, 1] == 1.02, "what was given is left as it is"


def test_nothing_is_clipped_within_the_scale() -> None:
    values = np.array([[0.0, 1.0]])
    one = Trajectory(values, BOTH, "unit", 2.0)
    assert one.n_clipped == 0
    assert one.values is values


def test_the_scale_decides_what_is_off_it() -> None:
    values = np.array([[-1.0, 1.0]])
    assert len(Trajectory(values, BOTH, "signed", 2.0)) == 1
    with pytest.raises(ValueError, match=r"found valence = -1\.0 at step 0"):
        Trajectory(values, BOTH, "unit", 2.0)


@pytest.mark.parametrize(
    ("shape", "columns"), [((3,), ("valence",)), ((3, 1), BOTH), ((3, 2), ("valence",)), ((3, 0), ())]
)
def test_a_shape_that_does_not_fit_the_columns_is_refused(shape: tuple[int, ...], columns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected values of shape"):
        Trajectory(np.zeros(shape), columns, "unit", 2.0)  # type: ignore[arg-type]  # (wrong on purpose)


@pytest.mark.parametrize("columns", [("valence", "valence"), ("valence", "surprise")])
def test_columns_are_known_and_distinct(columns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected distinct columns"):
        Trajectory(np.zeros((1, 2)), columns, "unit", 2.0)  # type: ignore[arg-type]  # (wrong on purpose)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan])
def test_the_rate_is_positive(rate: float) -> None:
    with pytest.raises(ValueError, match="positive number of values a second"):
        Trajectory(np.zeros((1, 2)), BOTH, "unit", rate)


def test_an_empty_trajectory_is_fine() -> None:
    empty = Trajectory(np.zeros((0, 2)), BOTH, "unit", 2.0)
    assert len(empty) == len(empty.on("signed")) == 0


def test_columns_are_found_by_name_wherever_they_stand() -> None:
    one = Trajectory(np.array([[0.1, 0.9]]), ("arousal", "valence"), "unit", 2.0)
    assert one.column("valence").tolist() == [0.9]
    with pytest.raises(ValueError, match="expected a column dominance, found arousal, valence"):
        one.column("dominance")


def test_neutral_and_the_bounds_keep_their_meaning_on_another_scale() -> None:
    unit = Trajectory(np.array([[0.0], [0.5], [1.0]]), ("valence",), "unit", 2.0)
    assert unit.on("signed").column("valence").tolist() == [-1.0, 0.0, 1.0]
    assert unit.on("unit") is unit


@given(arrays.arrays(np.float64, st.tuples(st.integers(0, 5), st.just(2)), elements=st.floats(-1, 1)))
def test_there_and_back_again_is_the_same_within_rounding(values: np.ndarray) -> None:
    signed = Trajectory(values, BOTH, "signed", 2.0)
    back = signed.on("unit").on("signed")
    np.testing.assert_allclose(back.values, values, atol=3e-16)
    assert (back.columns, back.scale, back.rate_hz) == (BOTH, "signed", 2.0)


@pytest.mark.parametrize(
    ("duration_s", "count"), [(0.0, 0), (-1.0, 0), (0.01, 1), (0.5, 1), (3.0, 6), (3.2, 6), (3.3, 7)]
)
def test_an_utterance_has_a_value_for_every_step_and_one_at_least(duration_s: float, count: int) -> None:
    assert count_steps(duration_s, 2.0) == count


def test_values_stand_for_the_middles_of_their_steps() -> None:
    assert step_times(3, 2.0).tolist() == [0.25, 0.75, 1.25]
    assert step_times(0, 2.0).shape == (0,)
