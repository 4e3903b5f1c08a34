"""A run asks all items of a task, or those that its limit, ids and conditions leave, in a balanced order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.release import EMOTIONS, ConflictPair, Dialogue, Release, Turn, make_release
from avemo_harness.benchmark.request import Item
from avemo_harness.errors import UsageError
from avemo_harness.run.config import RunConfig
from avemo_harness.run.selection import SamplingUnit, Selection, sampling_order


def make_sample(dialogues: int, turns: int = 2) -> tuple[list[Item], Release]:
    """Dialogues of user turns only, and an item for each turn."""
    rows = [
        Dialogue(
            f"d{i}",
            f"corpus{i % 3}",
            ("en", "de")[i % 2],
            "",
            tuple(Turn(t, "user", f"speaker{i % 4}", "", EMOTIONS[(i + t) % 4]) for t in range(turns)),
        )
        for i in range(dialogues)
    ]
    pairs = [ConflictPair(f"p{i}", f"d{i}", 0, f"d{i}", 1, "happy", "sad", "s") for i in range(0, dialogues, 2)]
    items = [
        Item(
            "task",
            f"{d.dialogue_id}/{t.turn_index}",
            d.dialogue_id,
            d.dialogue_id,
            d.dialogue_id,
            t.turn_index,
            "full_av",
        )
        for d in rows
        for t in d.turns
    ]
    return items, make_release("source", "name", "test", None, rows, pairs)


def pair_items(release: Release) -> list[Item]:
    return [
        Item("conflict", pair.pair_id, pair.pair_id, pair.audio_dialogue_id, pair.audio_dialogue_id, 0, "conflict")
        for pair in release.pairs
    ]


def selection(release: Release, **wanted: Any) -> Selection:
    return Selection(release, RunConfig("random", ("task",), **wanted))


def selected(dialogues: int, **wanted: Any) -> list[str]:
    items, release = make_sample(dialogues)
    return [item.item_id for item in selection(release, **wanted).of(items)]


def test_everything_is_asked_by_default() -> None:
    assert len(selected(20)) == 40


def test_a_limit_counts_dialogues_and_keeps_all_their_turns_in_order() -> None:
    few = selected(20, limit=2)
    assert len(few) == 4
    assert few == [f"{name.split('/')[0]}/{turn}" for name in few[::2] for turn in (0, 1)]
    assert len(selected(3, limit=50)) == 6


@given(st.integers(2, 30), st.integers(1, 30), st.integers(1, 30))
def test_a_smaller_limit_is_a_part_of_any_larger_one(dialogues: int, one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert set(selected(dialogues, limit=small)) <= set(selected(dialogues, limit=large))


def test_a_limit_takes_the_same_dialogues_for_every_condition_whatever_each_can_ask() -> None:
    items, release = make_sample(20)
    without_faces = [item for item in items if int(item.dialogue_id[1:]) % 2]
    limited = selection(release, limit=6)
    heard = {item.dialogue_id for item in limited.of(items)}
    seen = {item.dialogue_id for item in limited.of(without_faces)}
    assert len(heard) == 6
    assert seen == {name for name in heard if int(name[1:]) % 2}


def test_a_limit_does_not_take_the_first_by_id_but_the_labels_shares() -> None:
    rows = [
        Dialogue(f"{label}{i:02}", "", "en", "", (Turn(0, "user", f"s{i % 6}", "", label),))
        for label, count in (("angry", 24), ("happy", 24), ("neutral", 12), ("sad", 24))
        for i in range(count)
    ]
    items = [Item("t", d.dialogue_id + "/0", d.dialogue_id, d.dialogue_id, d.dialogue_id, 0, "full_av") for d in rows]
    kept = selection(make_release("source", "name", "test", None, rows, []), limit=28).of(items)
    assert Counter(item.dialogue_id[:-2] for item in kept) == {"angry": 8, "happy": 8, "neutral": 4, "sad": 8}


def test_conflict_pairs_have_an_order_of_their_own() -> None:
    _, release = make_sample(20)
    kept = selection(release, limit=3).of(pair_items(release))
    assert len(kept) == 3


def test_the_seed_decides_which_dialogues_a_limit_takes() -> None:
    assert len({tuple(selected(40, limit=4, seed=seed)) for seed in range(5)}) > 1
    assert selected(40, limit=4, seed=1) == selected(40, limit=4, seed=1)


@pytest.mark.parametrize(
    ("share", "available", "kept"),
    [(0.5, 20, 10), (0.07, 100, 7), (0.1, 30, 3), (0.34, 3, 2), (0.001, 20, 1), (0.999, 3, 3)],
)
def test_a_share_is_rounded_up_to_whole_dialogues(share: float, available: int, kept: int) -> None:
    assert len(selected(available, limit=share)) == 2 * kept


@given(st.integers(1, 50), st.floats(0.001, 0.999))
def test_a_share_keeps_at_least_one_dialogue_and_never_more_than_one_above_it(available: int, share: float) -> None:
    kept = len(selected(available, limit=share)) / 2
    assert 1 <= kept < share * available + 1


@pytest.mark.parametrize("limit", [0, -1, -0.5, 1.5, float("nan"), float("inf")])
def test_a_limit_that_is_neither_count_nor_share_is_refused(limit: float) -> None:
    with pytest.raises(UsageError, match="--limit must be a count of dialogues or a share between 0 and 1, found"):
        selected(20, limit=limit)


def test_ids_are_of_dialogues_or_of_items() -> None:
    assert selected(20, ids=("d4", "d7/1")) == ["d4/0", "d4/1", "d7/1"]


def test_ids_that_a_release_does_not_know_are_named() -> None:
    _, release = make_sample(6)
    assert selection(release, ids=("d1", "d1/0", "p2", "d9", "p1")).unknown_ids() == ["d9", "p1"]


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("emotion=neutral", ["d0/0", "d3/1", "d4/0"]),
        ("speaker_id=speaker1", ["d1/0", "d1/1", "d5/0", "d5/1"]),
        ("turn_index=1", ["d0/1", "d1/1", "d2/1", "d3/1", "d4/1", "d5/1"]),
        ("language=de", ["d1/0", "d1/1", "d3/0", "d3/1", "d5/0", "d5/1"]),
        ("source=corpus2", ["d2/0", "d2/1", "d5/0", "d5/1"]),
    ],
)
def test_a_condition_compares_a_property_of_the_asked_turn(condition: str, kept: list[str]) -> None:
    assert selected(6, where=(condition,)) == kept


def test_all_conditions_must_hold_and_the_limit_counts_what_they_leave() -> None:
    both = ("language=de", "emotion=neutral")
    every = ["d3/1", "d7/1", "d11/1", "d15/1", "d19/1"]
    assert selected(20, where=both) == every
    assert len(few := selected(20, where=both, limit=2)) == 2
    assert set(few) < set(every)
    assert selected(20, where=both, ids=("d7", "d8")) == ["d7/1"]


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("emotoin=sad", "nearest: 'emotion'"),
        ("emotion", "write FIELD=VALUE"),
        ("xyz=1", "known: emotion, speaker_id, turn_index, language, source"),
    ],
)
def test_a_condition_that_cannot_be_understood_is_refused_with_a_hint(condition: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        selected(4, where=(condition,))
    assert hint in str(refused.value)


def test_labels_that_are_missing_do_not_keep_a_dialogue_from_being_drawn() -> None:
    items, release = make_sample(3)
    bare = tuple(
        replace(dialogue, turns=tuple(replace(turn, emotion=None) for turn in dialogue.turns))
        for dialogue in release.dialogues
    )
    assert len(selection(replace(release, dialogues=bare), limit=2).of(items)) == 4


LABELS = ("neutral", "happy", "angry", "sad")

candidates = st.lists(
    st.tuples(st.lists(st.sampled_from(LABELS), max_size=5), st.sampled_from("abc")), min_size=1, max_size=40
).map(
    lambda drawn: [SamplingUnit(f"d{i}", tuple(labels), speaker) for i, (labels, speaker) in enumerate(drawn)],
)


@given(candidates, st.integers(0, 3))
def test_every_candidate_is_drawn_once(every: list[SamplingUnit], seed: int) -> None:
    order = sampling_order(every, seed)
    assert sorted(order) == sorted(one.name for one in every)


@given(candidates, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_in_which_candidates_are_given_does_not_matter(
    every: list[SamplingUnit], seed: int, random: object
) -> None:
    shuffled = list(every)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis types its generator as Random
    assert sampling_order(shuffled, seed) == sampling_order(every, seed)


@given(
    st.dictionaries(st.sampled_from(LABELS), st.integers(1, 30), min_size=1),
    st.integers(1, 60),
)
def test_a_prefix_of_single_turns_has_the_shares_of_labels_within_one_each(counts: dict[str, int], limit: int) -> None:
    every = [
        SamplingUnit(f"{label}{i}", (label,), f"s{i % 5}") for label, count in counts.items() for i in range(count)
    ]
    kept = sampling_order(every, 0)[:limit]
    drawn = Counter(name.rstrip("0123456789") for name in kept)
    for label, count in counts.items():
        assert abs(drawn[label] - count * len(kept) / len(every)) <= 1


def test_speakers_take_turns_where_labels_leave_a_choice() -> None:
    every = [SamplingUnit(f"{who}{i}{label}", (label,), who) for who in "abcd" for i in range(4) for label in LABELS]
    speakers = Counter(name[0] for name in sampling_order(every, 0)[:16])
    assert speakers == {"a": 4, "b": 4, "c": 4, "d": 4}


def test_the_nearest_shares_decide_before_the_speaker() -> None:
    every = [
        SamplingUnit("1", ("happy", "sad"), "ann"),
        SamplingUnit("2", ("happy", "sad"), "ann"),
        SamplingUnit("3", ("happy", "happy"), "bob"),
        SamplingUnit("4", ("sad", "sad"), "eve"),
    ]
    assert set(sampling_order(every, 0)[:2]) == {"1", "2"}


def test_candidates_without_labels_come_last() -> None:
    every = [
        SamplingUnit("bare", (), "ann"),
        SamplingUnit("sad", ("sad",), "bob"),
        SamplingUnit("happy", ("happy",), "bob"),
    ]
    assert sampling_order(every, 0)[-1] == "bare"


def test_another_seed_gives_another_order() -> None:
    every = [SamplingUnit(f"d{i}", ("sad",), f"s{i}") for i in range(20)]
    assert len({tuple(sampling_order(every, seed)) for seed in range(4)}) == 4
