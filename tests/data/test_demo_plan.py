"""What the demo holds: balance, unseen speakers, honest order, fair pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.synthesis.demo import DemoPlan, PlannedDialogue, PlannedTurn, plan_demo


@pytest.fixture(scope="module")
def plan() -> DemoPlan:
    return plan_demo()


def user_turns(dialogues: Iterable[PlannedDialogue]) -> list[PlannedTurn]:
    return [turn for dialogue in dialogues for turn in dialogue.turns if turn.role == "user"]


def speakers(dialogues: Iterable[PlannedDialogue]) -> set[str]:
    return {turn.spec.speaker.speaker_id for turn in user_turns(dialogues)}


def test_equal_sizes_give_equal_plans(plan: DemoPlan) -> None:
    assert plan == plan_demo()


def test_four_emotions_are_exactly_balanced_in_each_part_and_for_each_speaker(plan: DemoPlan) -> None:
    for dialogues in (plan.train, plan.test):
        counts = Counter((turn.spec.speaker.speaker_id, turn.spec.emotion) for turn in user_turns(dialogues))
        assert len(counts) == 4 * len(speakers(dialogues))
        assert len(set(counts.values())) == 1
    assert len(user_turns(plan.test)) == 160
    assert len(user_turns(plan.train)) == 192


def test_emotions_are_balanced_at_every_place_of_a_talk(plan: DemoPlan) -> None:
    counts = Counter(
        (place, turn.spec.emotion)
        for dialogue in plan.test
        if len(dialogue.turns) == 5
        for place, turn in enumerate(dialogue.turns)
        if turn.role == "user"
    )
    assert len(counts) == 12
    assert set(counts.values()) == {4}


def test_nobody_is_in_both_parts(plan: DemoPlan) -> None:
    assert len(speakers(plan.train)) == 12
    assert len(speakers(plan.test)) == 4
    assert not speakers(plan.train) & speakers(plan.test)


def test_dialogues_have_one_turn_of_the_user_or_three(plan: DemoPlan) -> None:
    shapes = Counter(tuple(turn.role for turn in dialogue.turns) for dialogue in plan.test)
    assert shapes == {("user", "assistant"): 112, ("user", "assistant", "user", "assistant", "user"): 16}
    assert {len(dialogue.turns) for dialogue in plan.train} == {1}


def test_the_assistant_shares_joy_and_is_calm_otherwise(plan: DemoPlan) -> None:
    for dialogue in plan.test:
        for said, reply in zip(dialogue.turns[::2], dialogue.turns[1::2], strict=False):
            assert reply.spec.emotion == ("happy" if said.spec.emotion == "happy" else "neutral")
            assert reply.style_prompt


def test_each_sentence_of_a_speaker_is_said_in_all_emotions(plan: DemoPlan) -> None:
    emotions = defaultdict(list)
    for dialogue in (*plan.train, *(d for d in plan.test if len(d.turns) == 2)):
        spec = dialogue.turns[0].spec
        emotions[spec.speaker.speaker_id, spec.text].append(spec.emotion)
    assert all(sorted(said) == sorted(EMOTIONS) for said in emotions.values())


def test_ids_are_unique_and_tell_nothing(plan: DemoPlan) -> None:
    for name, dialogues in (("train", plan.train), ("test", plan.test)):
        assert [dialogue.dialogue_id for dialogue in dialogues] == [f"{name}-{i:04}" for i in range(len(dialogues))]


def test_the_emotion_before_does_not_tell_the_next(plan: DemoPlan) -> None:
    for dialogues in (plan.train, plan.test):
        order = [dialogue.turns[0].spec.emotion for dialogue in dialogues]
        repeats = sum(a == b for a, b in pairwise(order)) / len(order)
        assert abs(repeats - 0.25) < 2.6 * np.sqrt(0.25 * 0.75 / len(order))


def test_lengths_are_within_bounds_and_the_same_for_all_emotions(plan: DemoPlan) -> None:
    lengths = defaultdict(list)
    for turn in user_turns((*plan.train, *plan.test)):
        lengths[turn.spec.emotion].append(turn.spec.duration_s)
    every = np.concatenate(list(lengths.values()))
    assert every.min() >= 2
    assert every.max() <= 3.2
    for some in lengths.values():
        assert abs(np.mean(some) - every.mean()) < 2.6 * every.std() / np.sqrt(len(some))


def test_pairs_oppose_valence_of_one_speaker_and_sentence(plan: DemoPlan) -> None:
    dialogues = {dialogue.dialogue_id: dialogue for dialogue in plan.test}
    for pair in plan.pairs:
        audio, video = (dialogues[one].turns[0].spec for one in (pair.audio_dialogue_id, pair.video_dialogue_id))
        assert (audio.speaker, audio.text) == (video.speaker, video.text)
        assert (audio.emotion, video.emotion) == (pair.audio_emotion, pair.video_emotion)
        assert {"happy"} < {audio.emotion, video.emotion} <= {"happy", "sad", "angry"}
        assert abs(audio.duration_s - video.duration_s) <= 1
        assert pair.speaker_id == audio.speaker.speaker_id


def test_pairs_are_balanced_and_use_a_clip_once_in_each_order(plan: DemoPlan) -> None:
    counts = Counter((pair.audio_emotion, pair.video_emotion) for pair in plan.pairs)
    orders = [("happy", "sad"), ("sad", "happy"), ("happy", "angry"), ("angry", "happy")]
    assert counts == dict.fromkeys(orders, 14)
    assert len({pair.audio_dialogue_id for pair in plan.pairs}) == len(plan.pairs)
    assert len({pair.video_dialogue_id for pair in plan.pairs}) == len(plan.pairs)
