"""A split by people keeps them apart and loses as little as can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.data.importers.base import choose_test_actors, part_of_actors
from avemo_harness.errors import UsageError

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
