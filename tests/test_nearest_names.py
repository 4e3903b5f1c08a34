"""Names are suggested for misspelt ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.costs import cpu_s

from avemo_harness.registry import hint, nearest

NAMES = ("baseline", "random", "constant", "audio-oracle", "video-oracle")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("basline", "; nearest: 'baseline'"),
        ("vido-oracle", "; nearest: 'video-oracle'"),
        ("base", "; nearest: 'baseline'"),
        ("a", "; nearest: 'audio-oracle'"),
        ("xyz", "; known: baseline, random, constant, audio-oracle, video-oracle"),
        ("", "; known: baseline, random, constant, audio-oracle, video-oracle"),
    ],
)
def test_the_nearest_name_is_told_and_all_of_them_where_none_is_near(word: str, said: str) -> None:
    assert hint(word, NAMES) == said


def test_nothing_is_told_where_no_name_is_known() -> None:
    assert hint("anything", ()) == ""


def test_several_are_told_the_nearest_first() -> None:
    assert nearest("video-orcle", NAMES, count=3) == ["video-oracle", "audio-oracle"]


@given(st.sampled_from(NAMES), st.permutations(NAMES))
def test_a_name_is_nearest_to_itself_in_any_order_of_the_known(name: str, known: list[str]) -> None:
    assert nearest(name, [*known, *known]) == [name]


@given(st.text(max_size=80), st.lists(st.text(max_size=20)))
def test_any_text_gets_an_answer(word: str, known: list[str]) -> None:
    assert set(nearest(word, known, count=3)) <= set(known)


def test_an_endless_word_costs_no_endless_time() -> None:
    known = ["ab" * 40, *NAMES]
    assert cpu_s(lambda: nearest("ab" * 500_000, known)) < 100 * cpu_s(lambda: nearest("ab" * 30, known))
