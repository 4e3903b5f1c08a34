"""ECS, EBS, ESS and ERS: what they reward, where they are undefined, and how trajectories are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.turns import ALL_THREE, ebs, ecs, ess, flat, moving, of, points, signed, tables

from avemo_harness.metrics.profiles import AV_EMO, EMO_REASONING, EMO_REASONING_UNIT, Extreme, Profile
from avemo_harness.metrics.reasoning import (
    balance,
    balance_direction,
    contagion,
    contagion_in_band,
    distance_to_thresholds,
    extremes,
    reasoning,
    stability,
    steadiness,
)
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.metrics.trivial_replies import ideal_balancers


@given(tables)
def test_a_copy_of_the_user_follows_perfectly(values: np.ndarray) -> None:
    assert ecs(of(values), of(values)) == 1.0


@given(tables)
def test_the_shifted_trajectory_balances_perfectly_wherever_there_is_something_to_balance(
    values: np.ndarray,
) -> None:
    user = of(values)
    score = ebs(user, ideal_balancers([user], AV_EMO)[0])
    assert score == 1.0 if extremes([user], AV_EMO).any() else np.isnan(score)


@given(points, st.integers(2, 20))
def test_a_constant_reply_is_perfectly_stable(point: tuple[float, float], length: int) -> None:
    reply = of(np.tile(point, (length, 1)))
    assert ess(reply) == steadiness([reply], AV_EMO)[0] == 1.0


@given(tables, tables)
def test_following_is_symmetric(first: np.ndarray, second: np.ndarray) -> None:
    assert ecs(of(first), of(second)) == pytest.approx(ecs(of(second), of(first)), abs=1e-12)


@given(tables, tables)
def test_every_score_is_in_range_or_undefined(first: np.ndarray, second: np.ndarray) -> None:
    users, replies = [of(first)], [of(second)]
    scores = [
        contagion(users, replies, AV_EMO).value,
        contagion_in_band(users, replies, AV_EMO).value,
        balance(users, replies, AV_EMO).value,
        balance_direction(users, replies, AV_EMO),
        stability(replies, AV_EMO).value,
        steadiness(replies, AV_EMO),
    ]
    for score in scores:
        assert np.isnan(score[0]) or 0.0 <= score[0] <= 1.0


@given(tables, tables)
def test_a_band_never_raises_following(first: np.ndarray, second: np.ndarray) -> None:
    users, replies = [of(first)], [of(second)]
    banded = contagion_in_band(users, replies, AV_EMO).uncut[0]
    assert banded <= contagion(users, replies, AV_EMO).uncut[0] + 1e-12


def test_a_hand_computed_turn() -> None:
    """User at V .4, A .5; reply at V .6, A .5: distance .2 a value, in valence alone."""
    user, reply = flat(0.4, length=4), flat(0.6, length=4)
    assert ecs(user, reply) == pytest.approx(1 - 5 * 0.2 / 4)
    assert ebs(user, reply) == pytest.approx(1 - 5 * (0.6 - 0.5055))
    assert reasoning(np.array([0.75]), np.array([0.5275]), np.array([1.0]), AV_EMO)[0] == pytest.approx(2.2775 / 3)


def test_what_is_cut_to_the_range_is_kept_uncut_beside_it() -> None:
    score = contagion([flat(0.0, 0.0)], [flat(1.0, 1.0)], AV_EMO)
    assert (score.value[0], score.uncut[0]) == (0.0, pytest.approx(1 - 5 / 2))


def test_nothing_is_defined_for_an_empty_trajectory() -> None:
    some, nothing = flat(0.2), flat(0.2, length=0)
    for users, replies in (([some], [nothing]), ([nothing], [some]), ([nothing], [nothing])):
        assert np.isnan(contagion(users, replies, AV_EMO).value[0])
        assert np.isnan(contagion_in_band(users, replies, AV_EMO).value[0])
        assert np.isnan(balance(users, replies, AV_EMO).value[0])
        assert np.isnan(balance_direction(users, replies, AV_EMO)[0])
    assert np.isnan(ess(nothing))
    assert np.isnan(steadiness([nothing], AV_EMO)[0])
    assert np.isnan(ebs(signed(-0.5, 3), signed(0.0, 0), EMO_REASONING)), "nor is it 1 for the predecessor"


def test_a_single_value_follows_and_balances_and_has_no_stability() -> None:
    user, reply = moving([0.1, 0.2, 0.3]), moving([0.2])
    assert ecs(user, reply) == pytest.approx(1 - 5 * (0.1 + 0.0 + 0.1) / (4 * 3))
    assert ebs(user, reply) == pytest.approx(1 - 5 * (0.0055 + 0.1055 + 0.2055) / 3)
    assert np.isnan(ess(reply))
    assert np.isnan(steadiness([reply], AV_EMO)[0])
    assert ess(signed(0.0, 1), EMO_REASONING) == 1.0


def test_there_is_no_balance_where_nothing_is_extreme() -> None:
    user = flat(0.5)
    assert np.isnan(ebs(user, flat(0.9)))
    assert np.isnan(balance_direction([user], [flat(0.9)], AV_EMO)[0])


def test_a_turn_is_as_good_as_its_parts_and_undefined_without_following_or_stability() -> None:
    parts = np.array([[0.6, 0.6, np.nan, 0.6], [0.3, np.nan, 0.3, 0.3], [0.9, 0.9, 0.9, np.nan]])
    np.testing.assert_allclose(reasoning(*parts, AV_EMO), [0.6, 0.75, np.nan, np.nan])


def test_a_missing_dimension_is_refused_by_name() -> None:
    only_valence = Trajectory(np.full((3, 1), 0.5), ("valence",), "unit", 2.0)
    with pytest.raises(ValueError, match="expected a column arousal in every trajectory"):
        contagion([flat(0.5)], [only_valence], AV_EMO)


@settings(max_examples=30)
@given(tables, tables)
def test_columns_count_by_name_and_never_by_position(first: np.ndarray, second: np.ndarray) -> None:
    def turned(one: Trajectory) -> Trajectory:
        return Trajectory(one.values[:, ::-1], ("arousal", "valence"), one.scale, one.rate_hz)

    users, replies = [of(first)], [of(second)]
    straight = [f(users, replies, AV_EMO) for f in (contagion, contagion_in_band, balance)]
    mixed = [f([turned(users[0])], [turned(replies[0])], AV_EMO) for f in (contagion, contagion_in_band, balance)]
    np.testing.assert_array_equal([one.value for one in mixed], [one.value for one in straight])
    for steady in (lambda one: stability([one], AV_EMO).value, lambda one: steadiness([one], AV_EMO)):
        np.testing.assert_allclose(steady(turned(replies[0])), steady(replies[0]), rtol=0, atol=1e-12)


@settings(max_examples=30)
@given(st.lists(st.tuples(tables, tables), min_size=2, max_size=6))
def test_a_batch_scores_each_turn_as_if_it_were_alone(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    users, replies = [of(first) for first, _ in pairs], [of(second) for _, second in pairs]
    for metric in (contagion, contagion_in_band, balance):
        alone = [metric([u], [a], AV_EMO).uncut[0] for u, a in zip(users, replies, strict=True)]
        np.testing.assert_array_equal(metric(users, replies, AV_EMO).uncut, alone)
    np.testing.assert_array_equal(steadiness(replies, AV_EMO), [steadiness([a], AV_EMO)[0] for a in replies])


def test_a_dimension_that_the_profile_does_not_know_changes_nothing() -> None:
    user = Trajectory(np.array([[0.1, 0.3, 0.9]] * 4), ALL_THREE, "unit", 2.0)
    assert ecs(user, flat(0.5, length=4)) == ecs(flat(0.1, 0.3, length=4), flat(0.5, length=4))


def test_a_turn_is_extreme_by_its_mean_and_only_beyond_the_threshold() -> None:
    users = [flat(0.464), flat(0.466), flat(0.5, 0.6726), flat(0.5, 0.6724), flat(0.2, 0.9)]
    found = extremes(users, AV_EMO).tolist()
    assert found == [[True, False], [False, False], [False, True], [False, False], [True, True]]


@pytest.mark.parametrize("profile", [AV_EMO, EMO_REASONING, EMO_REASONING_UNIT], ids=lambda profile: profile.name)
def test_a_turn_exactly_at_a_threshold_is_not_extreme_however_long_it_is(profile: Profile) -> None:
    """Although the mean of n equal values is next to that value for many n."""

    def users(offset: float) -> list[Trajectory]:
        at = {one.dimension: one.threshold + offset for one in profile.extremes}
        values = [at.get(name, 0.5) for name in ALL_THREE]
        return [
            Trajectory(np.tile(values, (length, 1)), ALL_THREE, profile.scale, profile.rate_hz)
            for length in range(1, 121)
        ]

    sides = [one.side for one in profile.extremes]
    assert not extremes(users(0.0), profile).any()
    for offset in (-1e-7, 1e-7):
        wanted = [side == ("below" if offset < 0 else "above") for side in sides]
        assert extremes(users(offset), profile).tolist() == [wanted] * 120


def test_a_step_of_exactly_the_threshold_does_not_count_against_stability() -> None:
    for start in np.arange(0.0, 0.9, 0.01):
        reply = moving([start, start + AV_EMO.step_threshold])
        assert ess(reply) == ess(reply.on("signed"), AV_EMO.on("signed")) == 1.0
    assert ess(moving([0.5, 0.5 + AV_EMO.step_threshold + 1e-7])) == pytest.approx(0.8, abs=1e-6)


def test_elation_and_boredom_never_are() -> None:
    assert not extremes([flat(1.0, 0.0)], AV_EMO).any()


def test_a_turn_that_starts_furious_and_ends_calm_is_not() -> None:
    assert not extremes([moving(np.linspace(0.0, 1.0, 20))], AV_EMO).any()


def test_both_dimensions_share_the_balance() -> None:
    user = flat(0.3, 0.8)
    assert ebs(user, flat(0.4055, 0.7475)) == pytest.approx(1.0)
    assert ebs(user, flat(0.4055, 0.7475 - 0.1)) == pytest.approx(1 - 5 * 0.1 / 2)


def test_a_target_beyond_the_scale_is_cut_to_it() -> None:
    high = Profile("high", "unit", 2.0, 5.0, 0.04, (Extreme("valence", "above", 0.9, 0.2),))
    assert ebs(flat(0.95), flat(1.0), high) == 1.0


def test_the_distance_to_thresholds_is_on_the_unit_scale_whatever_the_trajectory_s() -> None:
    user = flat(0.4, 0.7)
    np.testing.assert_allclose(distance_to_thresholds([user], AV_EMO), [[0.065, 0.0275]])
    np.testing.assert_allclose(distance_to_thresholds([user.on("signed")], AV_EMO.on("signed")), [[0.065, 0.0275]])
    assert np.isnan(distance_to_thresholds([flat(0.4, length=0)], AV_EMO)).all()
