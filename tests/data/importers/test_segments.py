"""Segments of a conversation obey every rule, none that fits is passed over, and a split by people keeps them apart."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.data.importers.base import ConversationTurn, choose_test_actors, cut_segments, part_of_actors
from avemo_harness.errors import UsageError

talks = st.lists(
    st.builds(ConversationTurn, st.sampled_from("abc"), st.booleans(), st.integers(0, 4).map(bool)), max_size=25
)


def fits(talk: list[ConversationTurn]) -> bool:
    """True where these utterances can be a segment."""
    users, others = talk[::2], talk[1::2]
    return (
        3 <= len(talk) <= 5
        and len({one.speaker for one in users}) == len({one.speaker for one in others}) == 1
        and users[0].speaker != others[0].speaker
        and all(one.askable for one in users)
        and all(one.follows for one in talk[1:])
    )


@given(talks)
def test_segments_are_of_two_people_in_turn_and_every_user_turn_can_be_asked(talk: list[ConversationTurn]) -> None:
    segments = cut_segments(talk)
    assert all(fits(talk[segment.start : segment.stop]) for segment in segments)
    assert all(one.stop <= other.start for one, other in pairwise(segments))


@given(talks)
def test_what_is_left_between_segments_holds_none(talk: list[ConversationTurn]) -> None:
    segments = cut_segments(talk)
    borders = [0, *(end for segment in segments for end in (segment.start, segment.stop)), len(talk)]
    for start, stop in zip(borders[::2], borders[1::2], strict=True):
        rest = range(start, stop)
        assert not any(fits(talk[i : i + length]) for i in rest for length in (3, 4, 5) if i + length <= stop)


@given(talks)
def test_each_segment_is_as_long_as_can_be(talk: list[ConversationTurn]) -> None:
    for segment in cut_segments(talk):
        if len(segment) < 5 and segment.stop < len(talk):
            assert not fits(talk[segment.start : segment.stop + 1])


def test_two_utterances_in_a_row_by_one_speaker_end_a_segment() -> None:
    talk = [ConversationTurn(speaker, True) for speaker in "ababbaba"]
    assert cut_segments(talk) == [range(4), range(4, 8)]


couples = st.dictionaries(
    st.frozensets(st.sampled_from("abcdef"), min_size=2, max_size=2), st.integers(1, 50), min_size=1, max_size=8
)


@given(couples)
def test_both_parts_have_talks_and_nobody_is_in_both(talks: dict[frozenset[str], int]) -> None:
    try:
        chosen = choose_test_actors(talks)
    except UsageError:
        connected = [one for one in talks if all(one & other for other in talks)]
        assert connected, "people who talk without the others can be kept apart"
        return
    people = {part: set().union(*(p for p in talks if part_of_actors(p, chosen) == part)) for part in ("train", "test")}
    assert people["train"]
    assert people["test"]
    assert not people["train"] & people["test"]


def test_fixed_couples_lose_nothing_and_a_quarter_is_tested_on() -> None:
    talks = {frozenset("ab"): 30, frozenset("cd"): 25, frozenset("ef"): 45}
    assert choose_test_actors(talks) == frozenset("cd")


def test_people_who_all_talk_with_one_another_cannot_be_kept_apart() -> None:
    with pytest.raises(UsageError, match="take the official split"):
        choose_test_actors({frozenset("ab"): 3, frozenset("bc"): 3, frozenset("ac"): 3})
