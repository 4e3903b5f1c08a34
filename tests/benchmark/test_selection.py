"""A run asks all items of a task, or those that its limit, ids and conditions leave."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.release import EMOTIONS, Dialogue, Release, Turn, make_release
from avemo_harness.benchmark.request import Item
from avemo_harness.errors import UsageError
from avemo_harness.run.config import RunConfig
from avemo_harness.run.selection import select_items


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
    return items, make_release("source", "name", "test", None, rows, [])


def selected(dialogues: int, **wanted: Any) -> list[str]:
    items, release = make_sample(dialogues)
    return [item.item_id for item in select_items(items, release, RunConfig("random", ("task",), **wanted))]


def test_everything_is_asked_by_default() -> None:
    assert len(selected(20)) == 40


def test_a_limit_counts_dialogues_and_keeps_all_their_turns() -> None:
    assert selected(20, limit=2) == ["d0/0", "d0/1", "d1/0", "d1/1"]
    assert len(selected(3, limit=50)) == 6


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
    assert selected(20, where=both) == ["d3/1", "d7/1", "d11/1", "d15/1", "d19/1"]
    assert selected(20, where=both, limit=2) == ["d3/1", "d7/1"]
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


def test_nothing_left_to_ask_is_an_error_not_an_empty_run() -> None:
    with pytest.raises(UsageError, match="task: --ids, --where and --limit leave nothing to ask of 8 items"):
        selected(4, ids=("d9",))
