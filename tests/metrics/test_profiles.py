"""Profiles: published parameters as they stand, carried between scales exactly, or taken from training labels."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.turns import flat, of, tables

from avemo_harness.metrics.profiles import (
    AV_EMO,
    EMO_REASONING,
    EMO_REASONING_UNIT,
    PROFILES,
    Calibration,
    Profile,
    calibrate,
    calibrated_profile,
)
from avemo_harness.metrics.reasoning import balance, contagion, extremes, stability
from avemo_harness.metrics.trajectory import Trajectory

every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())


def numbers(profile: Profile) -> list[float]:
    of_extremes = [value for one in profile.extremes for value in (one.threshold, one.shift)]
    return [profile.steepness, profile.step_threshold, *of_extremes]


def test_the_benchmark_s_numbers() -> None:
    assert numbers(AV_EMO) == [5, 0.04, 0.465, 0.1055, 0.6725, -0.0525]
    assert (AV_EMO.scale, AV_EMO.rate_hz, AV_EMO.dimensions) == ("unit", 2.0, ("valence", "arousal"))


def test_the_predecessor_s_numbers_on_its_own_scale_and_on_the_unit_scale() -> None:
    assert numbers(EMO_REASONING) == [5, 0.04, -0.07, 0.211, 0.345, -0.105, 0.210, 0.098]
    unit = [10, 0.02, 0.465, 0.1055, 0.6725, -0.0525, 0.605, 0.049]
    np.testing.assert_allclose(numbers(EMO_REASONING_UNIT), unit, rtol=0, atol=1e-15)
    assert EMO_REASONING.dimensions == ("valence", "arousal", "dominance")


def test_the_benchmark_takes_thresholds_and_shifts_of_the_predecessor_but_neither_its_steepness_nor_its_steps() -> None:
    exact = EMO_REASONING.on("unit")
    assert numbers(AV_EMO)[2:] == pytest.approx(numbers(exact)[2:6])
    assert numbers(exact)[:2] == [2 * AV_EMO.steepness, AV_EMO.step_threshold / 2]


@every_profile
def test_there_and_back_again_is_the_same_profile(profile: Profile) -> None:
    other = "signed" if profile.scale == "unit" else "unit"
    back = profile.on(other).on(profile.scale)
    np.testing.assert_allclose(numbers(back), numbers(profile), rtol=0, atol=1e-15)
    assert profile.on(profile.scale) is profile
    assert profile.on(other).scale == other


@given(tables, tables, st.sampled_from(["unit", "signed"]))
def test_scores_do_not_depend_on_the_scale_of_trajectories_or_of_the_profile(
    first: np.ndarray, second: np.ndarray, scale: str
) -> None:
    users, replies = [of(first)], [of(second)]
    for metric in (contagion, balance):
        expected = metric(users, replies, AV_EMO).uncut
        for profile in (AV_EMO, AV_EMO.on("signed")):
            found = metric([users[0].on(scale)], [replies[0].on(scale)], profile).uncut  # type: ignore[arg-type]  # (a scale)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_step_counts_by_the_threshold_of_its_scale() -> None:
    reply = of(np.column_stack([np.arange(0.2, 0.8, 0.05)] * 2))
    for profile in (AV_EMO, AV_EMO.on("signed")):
        assert stability([reply], profile).value[0] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("columns", "rate_hz", "problem"),
    [
        (("valence", "arousal", "dominance"), 1.0, None),
        (("dominance", "valence", "arousal"), 1.0, None),
        (("valence", "arousal"), 1.0, "it needs dominance, which the recogniser does not give"),
        (("arousal",), 1.0, "it needs valence, dominance, which the recogniser does not give"),
        (("valence", "arousal", "dominance"), 2.0, "it needs 1 values a second, the recogniser gives 2"),
    ],
)
def test_a_profile_says_what_a_trajectory_lacks(columns: tuple[str, ...], rate_hz: float, problem: str | None) -> None:
    one = Trajectory(np.zeros((1, len(columns))), columns, "signed", rate_hz)  # type: ignore[arg-type]  # (dimensions)
    assert EMO_REASONING.problem(one) == problem


def test_calibration_takes_quantiles_of_turn_means_and_of_steps() -> None:
    means = np.linspace(0.1, 0.9, 11)
    turns = [of(np.array([[m - 0.05, m - 0.02], [m + 0.05, m + 0.02]])) for m in means]
    found = calibrate(turns, "corpus")
    assert (found.v_low, found.a_high) == (pytest.approx(0.34), pytest.approx(0.66))
    assert found.delta_v == pytest.approx(0.5 - np.median(means[means <= 0.34]))
    assert found.delta_a == pytest.approx(0.5 - np.median(means[means >= 0.66]))
    assert found.theta == pytest.approx(np.quantile([0.1] * 11 + [0.04] * 11, 0.90))
    assert (found.n_turns, found.corpus, found.rate_hz) == (11, "corpus", 2.0)


def test_calibration_leaves_out_empty_turns_and_does_not_depend_on_the_scale() -> None:
    turns = [of(np.random.default_rng(seed).random((5, 2))) for seed in range(20)]
    signed = [turn.on("signed") for turn in turns]
    plain, other = calibrate(turns, "c"), calibrate([*signed, flat(0.5, length=0)], "c")
    assert plain.n_turns == other.n_turns
    assert other.v_low == pytest.approx(plain.v_low, abs=1e-12)
    assert other.theta == pytest.approx(plain.theta, abs=1e-12)


@pytest.mark.parametrize("turns", [[], [flat(0.5, length=1)], [flat(0.5), of(np.full((3, 2), 0.5), rate_hz=1.0)]])
def test_calibration_refuses_turns_that_show_no_steps_or_differ_in_rate(turns: list[Trajectory]) -> None:
    with pytest.raises(ValueError, match="turns of one rate, some of at least two values"):
        calibrate(turns, "corpus")


def test_a_calibrated_profile_makes_three_in_ten_turns_extreme_in_each_dimension() -> None:
    turns = [of(np.random.default_rng(seed).random((3, 2))) for seed in range(101)]
    profile = calibrated_profile(calibrate(turns, "corpus"))
    np.testing.assert_allclose(extremes(turns, profile).mean(axis=0), 0.3, atol=0.01)
    assert (profile.name, profile.steepness, profile.scale) == ("calibrated", 5.0, "unit")


@pytest.mark.parametrize(
    ("field", "number", "problem"),
    [
        ("delta_v", 0.0, "delta_v is 0: the turns of lowest valence are no lower than all of them"),
        ("delta_v", 1e-17, "delta_v is 0: the turns of lowest valence are no lower than all of them"),
        ("delta_v", -0.1, "delta_v is -0.1: the turns of lowest valence are no lower than all of them"),
        ("delta_a", 0.0, "delta_a is 0: the turns of highest arousal are no higher than all of them"),
        ("theta", 0.0, "theta is 0: at least nine in ten steps from value to value are 0"),
        ("theta", float("nan"), "it holds what is not a number"),
        ("rate_hz", 0.0, "its rate is 0 values a second"),
    ],
)
def test_no_profile_is_made_of_a_calibration_that_shifts_nothing_or_counts_every_step(
    field: str, number: float, problem: str
) -> None:
    fine = Calibration(0.4, 0.6, 0.2, -0.1, 0.05, 100, "planted", 2.0)
    assert fine.problem() is None
    broken = replace(fine, **{field: number})
    assert broken.problem() == problem
    with pytest.raises(ValueError, match=re.escape(problem)):
        calibrated_profile(broken)


def test_turns_that_never_move_and_are_mostly_alike_calibrate_nothing() -> None:
    """As labels turned into one place each do: here most people are neutral, and nobody is sad for long enough."""
    anchors = [(0.5, 0.5)] * 8 + [(0.2, 0.3), (0.8, 0.9)]
    found = calibrate([flat(valence, arousal) for valence, arousal in anchors], "labels")
    assert (found.delta_v, found.theta) == pytest.approx((0.0, 0.0))
    assert found.problem() is not None


def test_the_tail_of_a_calibration_holds_the_turns_at_its_quantile_whatever_rounding_makes_of_their_means() -> None:
    # The mean of n times 0.3 is 0.3 for some n and next to it for others.
    turns = [*(flat(0.3, length=length) for length in range(1, 40)), *(flat(0.7, length=5) for _ in range(60))]
    assert calibrate(turns, "corpus").delta_v == pytest.approx(0.4)


def test_who_was_asked_is_part_of_a_calibration_but_not_of_what_tells_judges_apart() -> None:
    turns = [of(np.random.default_rng(seed).random((3, 2))) for seed in range(9)]
    by_people, by_itself = calibrate(turns, "corpus"), calibrate(turns, "corpus", "predictions")
    assert (by_people.source, by_itself.source) == ("ratings", "predictions")
    assert repr(by_people) == repr(by_itself)
