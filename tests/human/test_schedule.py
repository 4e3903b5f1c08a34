"""Orders of presentation: Williams squares, and the sessions that are made from them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avemo_harness.human.sessions import BLOCK_S, RATING_S, checks_needed, plan_sessions, williams_square


@pytest.mark.parametrize("size", range(1, 12))
def test_each_condition_stands_everywhere_and_follows_every_other_equally_often(size: int) -> None:
    rows = williams_square(size)
    assert all(sorted(row) == list(range(size)) for row in rows)
    for column in zip(*rows, strict=True):
        assert set(Counter(column).values()) == {len(rows) // size}
    pairs = Counter(pair for row in rows for pair in pairwise(row))
    assert len(pairs) == size * (size - 1)
    assert len(set(pairs.values())) <= 1


@settings(max_examples=60)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(5, 8), st.integers(0, 99))
def test_a_round_of_sessions_rates_every_item_once(dialogues: int, systems: int, raters: int, seed: int) -> None:
    rated = [[f"{dialogue}/{system}" for system in range(systems)] for dialogue in range(dialogues)]
    number = checks_needed(dialogues)
    golds, traps = ([f"{kind}{one}" for one in range(number)] for kind in ("gold", "trap"))
    seconds = dict.fromkeys([*golds, *traps, *(item for row in rated for item in row)], 30.0)
    sessions = plan_sessions(rated, golds, traps, seconds, raters, seed)
    assert len(sessions) == raters * systems
    shown = Counter(one.item for session in sessions for one in session.showings if not one.repeat)
    assert {shown[item] for row in rated for item in row} == {raters}
    for session in sessions:
        items = [one.item for one in session.showings if not one.repeat]
        assert len(items) == len(set(items)) == dialogues + 2 * number
        assert len({item.split("/")[0] for item in items if "/" in item}) == dialogues
        for position, one in enumerate(session.showings):
            earlier = [before.item for before in session.showings[:position]]
            assert (one.item in earlier) == one.repeat
        for block in session.blocks:
            assert block
            assert sum(30 + RATING_S for _ in block) <= BLOCK_S + 30 + RATING_S


@settings(max_examples=60)
@given(st.lists(st.floats(5, 400), min_size=6, max_size=40), st.integers(0, 99))
def test_no_block_is_too_long_unless_it_is_one_item(lengths: list[float], seed: int) -> None:
    rated = [[f"item{index}"] for index in range(len(lengths))]
    number = checks_needed(len(lengths))
    checks = [[f"{kind}{one}" for one in range(number)] for kind in ("gold", "trap")]
    seconds = dict(zip((row[0] for row in rated), lengths, strict=True)) | dict.fromkeys(checks[0] + checks[1], 20.0)
    for session in plan_sessions(rated, *checks, seconds, 1, seed):
        for block in session.blocks:
            assert len(block) == 1 or sum(seconds[one.item] + RATING_S for one in block) <= BLOCK_S


def test_raters_hear_every_system_about_equally_often() -> None:
    rated = [[f"{dialogue}/{system}" for system in range(3)] for dialogue in range(30)]
    checks = [[f"{kind}{one}" for one in range(3)] for kind in ("gold", "trap")]
    seconds = dict.fromkeys([*checks[0], *checks[1], *(item for row in rated for item in row)], 10.0)
    for session in plan_sessions(rated, *checks, seconds, 5, 0):
        of_systems = Counter(one.item.split("/")[1] for one in session.showings if "/" in one.item and not one.repeat)
        assert set(of_systems.values()) == {10}
