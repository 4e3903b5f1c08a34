"""Turns and dialogues score as plain loops over the definitions do, under the predecessor's profile and our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from support import reasoning_reference as plain
from support.reasoning_reference import Parts, Turn, as_trajectory

from avemo_harness.metrics.dialogues import DialogueScores, TurnScores, score_dialogues, score_turns
from avemo_harness.metrics.profiles import AV_EMO, EMO_REASONING, EMO_REASONING_UNIT, Profile
from avemo_harness.metrics.trajectory import Dimension, Trajectory

DIMENSIONS: tuple[Dimension, ...] = ("valence", "arousal", "dominance")


@dataclass(frozen=True)
class Dialogue:
    """The turns of a user and the replies to them."""

    users: list[Turn]
    replies: list[Turn]


def random_dialogues(count: int, seed: int, profile: Profile, shortest: int = 1) -> list[Dialogue]:
    """Dialogues of 2 to 4 turns of up to 6 values that wander over the whole scale of a profile."""
    rng = np.random.default_rng(seed)
    low, high = (0.0, 1.0) if profile.scale == "unit" else (-1.0, 1.0)

    def turns(number: int) -> list[Turn]:
        return [turn(int(length)) for length in rng.integers(shortest, 7, size=number)]

    def turn(length: int) -> Turn:
        steps = (high - low) * rng.normal(0, 0.04, (3, length)).cumsum(axis=1)
        walk = np.clip(rng.uniform(low, high, (3, 1)) + steps, low, high)
        return dict(zip(DIMENSIONS, walk.tolist(), strict=True))

    return [Dialogue(turns(number), turns(number)) for number in rng.integers(2, 5, size=count).tolist()]


def score_all(
    users: Sequence[Trajectory], replies: Sequence[Trajectory], dialogues: Sequence[Dialogue], profile: Profile
) -> tuple[np.ndarray, np.ndarray]:
    """The scores of every turn and of every dialogue, shape (N, 4) each: follows, balances, steady, together."""
    names = [f"{number:06d}" for number, dialogue in enumerate(dialogues) for _ in dialogue.users]
    turn_numbers = [number for dialogue in dialogues for number in range(len(dialogue.users))]
    turns = score_turns(users, replies, profile)
    return of_turns(turns), of_dialogues(score_dialogues(turns, replies, names, turn_numbers, profile))


def of_turns(turns: TurnScores) -> np.ndarray:
    return np.column_stack([turns.ecs.value, turns.ebs.value, turns.ess.value, turns.ers])


def of_dialogues(scores: DialogueScores) -> np.ndarray:
    return np.column_stack([scores.ct_ecs, scores.ct_ebs, scores.ct_ess, scores.ct_ers])


def all_turns(dialogues: Sequence[Dialogue], profile: Profile) -> tuple[list[Trajectory], list[Trajectory]]:
    return (
        [as_trajectory(turn, profile) for dialogue in dialogues for turn in dialogue.users],
        [as_trajectory(turn, profile) for dialogue in dialogues for turn in dialogue.replies],
    )


def table(parts: Sequence[Parts]) -> np.ndarray:
    rows = [(one.contagion, one.balance, one.stability, one.together) for one in parts]
    return np.array(rows, dtype=np.float64)


@pytest.mark.slow
def test_ten_thousand_dialogues_score_as_the_predecessor_defines_it() -> None:
    dialogues = random_dialogues(10_000, seed=7, profile=EMO_REASONING)
    turns, across = score_all(*all_turns(dialogues, EMO_REASONING), dialogues, EMO_REASONING)
    each = [plain.predecessor_turn(u, a) for one in dialogues for u, a in zip(one.users, one.replies, strict=True)]
    together = [plain.predecessor_dialogue(one.users, one.replies) for one in dialogues]
    np.testing.assert_allclose(turns, table(each), rtol=0, atol=1e-9)
    np.testing.assert_allclose(across, table(together), rtol=0, atol=1e-9)
    assert turns.min() < 0, "the predecessor's scores have no lower bound"


def test_the_benchmark_s_scores_are_those_of_its_definitions_empty_turns_included() -> None:
    dialogues = random_dialogues(1_000, seed=9, profile=AV_EMO, shortest=0)
    turns, across = score_all(*all_turns(dialogues, AV_EMO), dialogues, AV_EMO)
    each = [plain.benchmark_turn(u, a) for one in dialogues for u, a in zip(one.users, one.replies, strict=True)]
    together = [plain.benchmark_dialogue(one.users, one.replies) for one in dialogues]
    np.testing.assert_allclose(turns, table(each), rtol=0, atol=1e-9)
    np.testing.assert_allclose(across, table(together), rtol=0, atol=1e-9)
    defined = turns[~np.isnan(turns)]
    assert 0 <= defined.min() < defined.max() <= 1


@pytest.mark.parametrize("profile", [EMO_REASONING, EMO_REASONING_UNIT], ids=lambda profile: profile.name)
def test_the_predecessor_scores_the_same_on_the_unit_scale(profile: Profile) -> None:
    dialogues = random_dialogues(500, seed=8, profile=EMO_REASONING)
    users, replies = all_turns(dialogues, EMO_REASONING)
    signed = score_all(users, replies, dialogues, EMO_REASONING)
    unit = score_all([one.on("unit") for one in users], [one.on("unit") for one in replies], dialogues, profile)
    for expected, found in zip(signed, unit, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_order_of_turns_and_of_dialogues_means_nothing() -> None:
    dialogues = random_dialogues(30, seed=3, profile=AV_EMO)
    users, replies = all_turns(dialogues, AV_EMO)
    names = [f"{number:06d}" for number, one in enumerate(dialogues) for _ in one.users]
    turn_numbers = [number for one in dialogues for number in range(len(one.users))]
    turns = score_turns(users, replies, AV_EMO)
    straight = score_dialogues(turns, replies, names, turn_numbers, AV_EMO)
    order = np.random.default_rng(4).permutation(len(users))
    mixed_replies = [replies[i] for i in order]
    mixed = score_turns([users[i] for i in order], mixed_replies, AV_EMO)
    np.testing.assert_array_equal(of_turns(mixed), of_turns(turns)[order])
    again = score_dialogues(mixed, mixed_replies, [names[i] for i in order], [turn_numbers[i] for i in order], AV_EMO)
    assert again.dialogues == straight.dialogues == tuple(sorted(set(names)))
    np.testing.assert_allclose(of_dialogues(again), of_dialogues(straight), rtol=0, atol=1e-12)


def flat(valence: float, length: int = 4) -> Trajectory:
    return Trajectory(np.column_stack([np.full(length, valence), np.full(length, 0.5)]), DIMENSIONS[:2], "unit", 2.0)


def cross_stability_of(replies: Sequence[Trajectory], turn_numbers: Sequence[int]) -> float:
    turns = score_turns([flat(0.5)] * len(replies), replies, AV_EMO)
    return float(score_dialogues(turns, replies, ["d"] * len(replies), turn_numbers, AV_EMO).ct_ess[0])


def test_replies_are_adjacent_only_where_their_places_follow_each_other() -> None:
    replies = [flat(0.5), flat(0.7), flat(0.5)]
    assert cross_stability_of(replies, [0, 1, 2]) == pytest.approx(1 - 5 * 0.2 / 4)
    assert np.isnan(cross_stability_of(replies, [0, 2, 4]))
    assert cross_stability_of(replies, [0, 3, 1]) == pytest.approx(1.0), "the reply that is far out stands alone"
    assert np.isnan(cross_stability_of(replies[:1], [0]))


def test_what_no_turn_of_a_dialogue_defines_is_undefined_for_the_dialogue() -> None:
    replies = [flat(0.5), flat(0.5)]
    turns = score_turns([flat(0.5), flat(0.5, 0)], replies, AV_EMO)
    scores = score_dialogues(turns, replies, ["calm", "silent"], [0, 0], AV_EMO)
    assert scores.ct_ecs[0] == 1.0
    assert np.isnan(scores.ct_ecs[1])
    assert np.isnan([scores.ct_ebs, scores.ct_ess, scores.ct_ers]).all()


def test_nothing_scores_as_nothing() -> None:
    turns = score_turns([], [], AV_EMO)
    scores = score_dialogues(turns, [], [], [], AV_EMO)
    assert scores.dialogues == ()
    assert of_turns(turns).shape == of_dialogues(scores).shape == (0, 4)


def test_turns_without_a_reply_each_and_missing_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a reply to each of 2 turns, found 1"):
        score_turns([flat(0.5)] * 2, [flat(0.5)], AV_EMO)
    with pytest.raises(ValueError, match="dominance"):
        score_turns([flat(0.5)], [flat(0.5)], EMO_REASONING)
