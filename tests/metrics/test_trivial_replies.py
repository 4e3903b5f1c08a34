"""Replies that take no understanding: what they score, and scores anchored at those of replies to somebody else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.turns import ALL_THREE, flat, of

from avemo_harness.metrics.profiles import AV_EMO, EMO_REASONING
from avemo_harness.metrics.reasoning import balance, contagion, stability
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.metrics.trivial_replies import (
    PERMUTATIONS,
    anchored,
    constant_replies,
    ideal_balancers,
    shuffles,
)

dialogues = st.lists(st.sampled_from("abcdef"), max_size=20)


def largest(names: list[str]) -> int:
    return max(map(names.count, names), default=0)


@given(dialogues.filter(lambda names: names and 2 * largest(names) <= len(names)), st.integers(0, 5))
def test_a_shuffling_is_a_permutation_that_gives_nobody_a_reply_of_its_own_dialogue(
    names: list[str], seed: int
) -> None:
    orders = list(shuffles(names, seed))
    assert len(orders) == PERMUTATIONS
    for order in orders:
        assert sorted(order.tolist()) == list(range(len(names)))
        assert all(names[index] != names[given_by] for index, given_by in enumerate(order))


@given(dialogues.filter(lambda names: 2 * largest(names) > len(names) or not names))
def test_there_is_none_where_a_dialogue_cannot_keep_clear_of_itself(names: list[str]) -> None:
    assert list(shuffles(names)) == []


def test_shufflings_are_drawn_from_a_seed_and_differ() -> None:
    names = [f"d{number // 4}" for number in range(40)]
    first, again, other = (np.array(list(shuffles(names, seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert len(np.unique(first, axis=0)) == PERMUTATIONS
    assert len({names[order[0]] for order in first}) > 4, "a turn meets many dialogues"


@given(st.floats(0, 1), st.floats(0, 1))
def test_an_anchored_score_is_one_at_best_and_zero_where_it_is_no_better_than_a_stranger_s(
    score: float, shuffled: float
) -> None:
    value = float(anchored(np.array(score), np.array(shuffled)))
    if shuffled > 0.9901:
        assert np.isnan(value)
    elif shuffled < 0.9899:
        assert value <= 1.0
        assert np.sign(value) == np.sign(score - shuffled) or value == pytest.approx(0)


def test_anchored_values() -> None:
    score, shuffled = np.array([1.0, 0.8, 0.7, 0.9, np.nan]), np.array([0.8, 0.8, 0.8, 0.995, 0.8])
    np.testing.assert_allclose(anchored(score, shuffled), [1.0, 0.0, -0.5, np.nan, np.nan], atol=1e-12)


def test_an_ideal_balancer_moves_only_the_dimensions_that_are_extreme() -> None:
    users = [flat(0.3, 0.6), flat(0.6, 0.9), flat(0.6, 0.6), flat(0.5, length=0)]
    low, high, calm, empty = ideal_balancers(users, AV_EMO)
    np.testing.assert_allclose(low.values[0], [0.4055, 0.6])
    np.testing.assert_allclose(high.values[0], [0.6, 0.8475])
    np.testing.assert_array_equal(calm.values, users[2].values)
    assert len(empty) == 0


def test_an_ideal_balancer_stays_within_the_scale_and_keeps_that_of_the_user() -> None:
    user = Trajectory(np.array([[0.0, 0.0, 0.2], [0.0, 0.0, -1.0]]), ALL_THREE, "signed", 1.0)
    balancer = ideal_balancers([user], EMO_REASONING)[0]
    np.testing.assert_allclose(balancer.values[:, 2], [0.298, -0.902])
    on_unit = ideal_balancers([user.on("unit")], EMO_REASONING)[0]
    assert on_unit.scale == "unit"
    np.testing.assert_allclose(on_unit.on("signed").values, balancer.values, atol=1e-12)


def test_a_constant_reply_is_neutral_on_its_scale_and_as_long_as_the_turn() -> None:
    unit, signed = constant_replies([flat(0.2, length=7), flat(0.2, length=3).on("signed")])
    assert (unit.values.tolist(), signed.values.tolist()) == ([[0.5, 0.5]] * 7, [[0.0, 0.0]] * 3)


def test_what_trivial_replies_score_on_turns_that_vary_as_people_do() -> None:
    """Spreads of .06 in valence and .09 in arousal, 3 to 12 s: strangers and a monotone voice beat the best model that
    was published (ECS 0.74)."""
    rng = np.random.default_rng(11)
    users = [varying(rng) for _ in range(600)]
    order = next(iter(shuffles([str(number) for number in range(len(users))])))
    strangers = [users[index] for index in order]
    constant = constant_replies(users)
    shuffled_ecs, constant_ecs = (contagion(users, replies, AV_EMO).value.mean() for replies in (strangers, constant))
    assert shuffled_ecs == pytest.approx(0.825, abs=0.04)
    assert constant_ecs == pytest.approx(0.86, abs=0.04)
    assert constant_ecs > shuffled_ecs > 0.74
    assert (contagion(users, users, AV_EMO).value == 1).all()
    assert (stability(constant, AV_EMO).value == 1).all()
    ideal = balance(users, ideal_balancers(users, AV_EMO), AV_EMO).value
    assert (ideal[~np.isnan(ideal)] == 1).all()


def varying(rng: np.random.Generator) -> Trajectory:
    """Values around a mean of the turn's own, each near the one before."""
    length = int(rng.integers(6, 25))
    spread = np.array([0.06, 0.09])
    values = np.empty((length, 2))
    values[0] = rng.normal(0, 1, 2)
    for step in range(1, length):
        values[step] = 0.9 * values[step - 1] + np.sqrt(1 - 0.9**2) * rng.normal(0, 1, 2)
    return of(np.clip(0.5 + spread * values, 0, 1))
