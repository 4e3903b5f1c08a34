"""A study that would end with too few raters is given more, while it runs, and ends with enough."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from human.test_desk import Room
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.human.analysis import analyze
from avemo_harness.human.plan import covering_sessions, extend_study
from avemo_harness.human.ratings import read_collection
from avemo_harness.human.screens import ItemScreen
from avemo_harness.human.service import Rating
from avemo_harness.human.study import Session, Showing, read_key


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "study", seconds=2.0)


def rate_wrongly(room: Room, number: int) -> None:
    """Go through a session and fail its traps."""
    rater, screen = room.trained(number)
    while isinstance(screen, ItemScreen):
        expected = room.expected(screen)
        trap = expected["er"] == 4
        screen = room.rate(rater, screen, dict.fromkeys(expected, 2) if trap else expected)


def short_items(room: Room) -> int:
    ratings = read_collection(room.folder, room.study).ratings
    return analyze(room.study, read_key(room.folder), ratings).short_items


def added_tokens(room: Room) -> list[str]:
    return (room.folder / "invitations.txt").read_text().split()


def join_by(room: Room, token: str) -> int:
    """Go through a session by an invitation that was added."""
    rater = room.desk.rater_of(room.desk.join(token))
    room.desk.consent(rater)
    room.name_device(rater)
    screen = room.desk.ready(rater)
    while isinstance(screen, ItemScreen):
        screen = room.rate(rater, screen)
    return rater


def test_the_items_of_a_rater_who_is_left_out_are_rated_by_others(room: Room) -> None:
    rate_wrongly(room, 0)
    for number in range(1, len(room.study.sessions)):
        room.to_the_end(number)
    assert short_items(room) == 4
    done = extend_study(room.folder, room.study, None)
    assert (done.lacking, done.sessions, done.invitations) == (4, 1, 2)
    # The desk was open all the while.
    join_by(room, added_tokens(room)[0])
    assert short_items(room) == 0
    rated = Counter((rater, item) for rater, item, repeat in room.ratings() if not repeat)
    assert set(rated.values()) == {1}
    again = extend_study(room.folder, room.study, None)
    assert (again.lacking, again.sessions, again.invitations) == (0, 0, 0)


def test_an_item_that_did_not_play_is_rated_by_another(room: Room) -> None:
    rater, screen = room.trained(0)
    while isinstance(screen, ItemScreen) and room.expected(screen) != dict.fromkeys(("er", "en", "rr"), 3):
        screen = room.rate(rater, screen)
    assert isinstance(screen, ItemScreen)
    screen, _ = room.desk.rate(rater, Rating(screen.showing, None, plays=0, problem="no sound"))
    while isinstance(screen, ItemScreen):
        screen = room.rate(rater, screen)
    # Sessions that nobody has held yet are no reason to ask for more.
    assert extend_study(room.folder, room.study, None).lacking == 1
    for number in range(1, len(room.study.sessions)):
        room.to_the_end(number)
    join_by(room, added_tokens(room)[0])
    assert short_items(room) == 0


def test_sessions_that_are_still_open_are_waited_for(room: Room) -> None:
    room.to_the_end(0)
    assert extend_study(room.folder, room.study, None).sessions == 0


def test_invitations_alone_can_be_added(room: Room) -> None:
    room.to_the_end(0)
    assert extend_study(room.folder, room.study, 3).invitations == 3
    tokens = added_tokens(room)
    assert len(tokens) == 3
    join_by(room, tokens[2])
    room.desk.close()
    room.desk = room.open()
    assert join_by(room, tokens[0]) != join_by(room, tokens[1])
    with sqlite3.connect(room.folder / "ratings.sqlite") as tables:
        assert all(token.encode() not in (room.folder / "ratings.sqlite").read_bytes() for token in tokens)
        assert tables.execute("SELECT COUNT(DISTINCT rater) FROM ratings").fetchone() == (4,)


@given(
    st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 3)),
)
def test_chosen_sessions_give_what_is_lacking_and_none_is_idle(sets: list[set[str]], lacking: dict[str, int]) -> None:
    lacking = {item: number for item, number in lacking.items() if any(item in one for one in sets)}
    sessions = [Session((tuple(Showing(item) for item in sorted(one)),)) for one in sets]
    chosen = covering_sessions(sessions, lacking)
    given_again = Counter(item for number in chosen for item in sets[number])
    assert all(given_again[item] >= number for item, number in lacking.items())
    assert len(chosen) <= sum(lacking.values())
