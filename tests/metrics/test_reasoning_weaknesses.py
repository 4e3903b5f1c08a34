"""Where the published forms of the reasoning metrics are blind, in figures, and what stands beside each for that."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from support.turns import ebs, ecs, ess, flat, moving, of, signed, tables

from avemo_harness.metrics.dialogues import score_dialogues, score_turns
from avemo_harness.metrics.profiles import AV_EMO, EMO_REASONING
from avemo_harness.metrics.reasoning import (
    balance_direction,
    contagion_in_band,
    reasoning,
    steadiness,
)

BRIGHTENING = moving([0.3] * 6 + [0.7] * 14)
"""A user who is down for 3 s and up for 7 s."""


@pytest.mark.parametrize("late", [0, 2, 8])
def test_a_step_followed_late_scores_as_one_followed_at_once(late: int) -> None:
    assert ecs(BRIGHTENING, moving([0.3] * (6 + late) + [0.7] * (14 - late))) == 1.0


def test_the_band_lowers_what_comes_late_by_more_than_a_second() -> None:
    replies = [moving([0.3] * (6 + late) + [0.7] * (14 - late)) for late in (0, 2, 4, 8)]
    banded = contagion_in_band([BRIGHTENING] * 4, replies, AV_EMO).value
    assert banded[:2].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(banded[2:], [1 - 5 * 2 * 0.4 / 80, 1 - 5 * 6 * 0.4 / 80])


def test_the_band_leaves_room_for_a_longer_reply() -> None:
    slow = moving(np.repeat(BRIGHTENING.column("valence"), 2).tolist())
    assert contagion_in_band([BRIGHTENING], [slow], AV_EMO).value[0] == 1.0


SAD = flat(0.2)


def test_a_neutral_reply_scores_far_below_one_that_mirrors() -> None:
    assert ebs(SAD, flat(0.5)) == pytest.approx(0.0275)
    assert ebs(SAD, flat(0.2)) == pytest.approx(0.4725)


def test_the_direction_tells_them_apart_the_right_way_round() -> None:
    replies = [flat(0.1), flat(0.2), flat(0.2 + 0.1055 / 2), flat(0.2 + 0.1055), flat(0.5)]
    directions = balance_direction([SAD] * 5, replies, AV_EMO)
    np.testing.assert_allclose(directions, [0.0, 0.0, 0.5, 1.0, 1.0], atol=1e-12)


def test_arousal_is_balanced_downwards() -> None:
    user = flat(0.5, 0.9)
    directions = balance_direction([user] * 2, [flat(0.5, 0.8), flat(0.5, 1.0)], AV_EMO)
    assert directions.tolist() == [1.0, 0.0]


ONE_STEP = moving([0.5] * 10 + [0.55] * 11)
ZIGZAG = moving([0.5, 0.539] * 10 + [0.5])
ONE_JUMP = moving([0.5] * 10 + [0.65] * 11)
JUMP_AND_STEPS = moving([0.65, *([0.5, 0.55] * 9), 0.5])


def test_one_small_step_costs_a_quarter_and_a_ceaseless_zigzag_nothing() -> None:
    assert ess(ONE_STEP) == pytest.approx(0.75)
    assert ess(ZIGZAG) == 1.0


@given(tables)
def test_no_score_lies_between_four_fifths_and_one(values: np.ndarray) -> None:
    score = ess(of(values))
    assert np.isnan(score) or score == 1.0 or score < 0.8


def test_medium_steps_beside_a_large_one_raise_it() -> None:
    assert ess(ONE_JUMP) == pytest.approx(0.25)
    assert ess(JUMP_AND_STEPS) == pytest.approx(1 - 5 * (18 * 0.05 + 0.15) / 19)
    assert ess(JUMP_AND_STEPS) == pytest.approx(0.72, abs=0.005)


def test_steadiness_orders_them_by_how_much_they_move() -> None:
    constant = flat(0.5, length=21)
    replies = [constant, ONE_STEP, ONE_JUMP, ZIGZAG, JUMP_AND_STEPS]
    scores = steadiness(replies, AV_EMO)
    assert scores.tolist() == sorted(scores, reverse=True)
    assert len(set(scores)) == 5
    assert scores[1] == pytest.approx(1 - 2.5 * 2 * 0.05 / 40)


def test_steadiness_is_the_same_at_any_rate_where_the_threshold_is_not() -> None:
    """A rise of 0.06 a second, seen once and twice a second."""
    once = of(np.column_stack([np.arange(0.2, 0.8, 0.06)] * 2), rate_hz=1.0)
    twice = of(np.column_stack([np.arange(0.2, 0.8, 0.03)] * 2), rate_hz=2.0)
    assert (ess(once), ess(twice)) == (pytest.approx(0.7), 1.0)
    np.testing.assert_allclose(steadiness([once, twice], AV_EMO), 1 - 2.5 * 0.06)


def test_steadiness_does_not_depend_on_the_scale_of_the_trajectory() -> None:
    both = steadiness([JUMP_AND_STEPS, JUMP_AND_STEPS.on("signed")], AV_EMO)
    assert both[0] == pytest.approx(both[1], abs=1e-12)


def test_nothing_to_balance_counts_as_perfect_and_shifts_the_weights() -> None:
    user, reply = signed(0.0, 4), signed(0.4, 4)
    assert ebs(user, reply, EMO_REASONING) == 1.0
    parts = np.array([[0.5, 0.5], [1.0, 0.999], [0.8, 0.8]])
    expected = [0.7 * 0.5 + 0.3 * 0.8, 0.4 * 0.5 + 0.4 * 0.999 + 0.2 * 0.8]
    np.testing.assert_allclose(reasoning(*parts, EMO_REASONING), expected)


def test_a_reply_that_balances_perfectly_is_dropped_from_its_own_mean() -> None:
    users = [signed(-0.5, 4), signed(-0.5, 4)]
    perfect, poor = signed(-0.5 + 0.211, 4), signed(-0.5, 4)
    turns = score_turns(users, [perfect, poor], EMO_REASONING)
    across = score_dialogues(turns, [perfect, poor], ["d", "d"], [0, 1], EMO_REASONING)
    assert turns.ebs.value[0] == 1.0
    assert across.ct_ebs[0] == turns.ebs.value[1] == pytest.approx(1 - 5 * 0.211)


def test_a_reply_four_times_as_long_is_punished_for_its_length() -> None:
    """At a distance of 0.1 from the target throughout."""
    user = signed(-0.5, 5)
    assert ebs(user, signed(-0.389, 5), EMO_REASONING) == pytest.approx(0.5)
    assert ebs(user, signed(-0.389, 20), EMO_REASONING) == pytest.approx(-1.0)


def test_the_benchmark_divides_by_the_longer_turn_instead() -> None:
    user = flat(0.2, length=5)
    short, long = (flat(0.4055, length=length) for length in (5, 20))
    assert ebs(user, short) == pytest.approx(ebs(user, long)) == pytest.approx(0.5)


def test_scores_have_no_lower_bound() -> None:
    assert ecs(signed(-1.0, 3), signed(1.0, 3), EMO_REASONING) == pytest.approx(1 - 5 * 2 / 4)
    assert ebs(signed(-1.0, 3), signed(1.0, 3), EMO_REASONING) == pytest.approx(1 - 5 * 1.789)
