"""Numbers are read from answers, and texts compared in a normal form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.scorers.answer_texts import TextMatching, read_number

FROM_1_TO_5 = {
    "4": 4.0,
    "**4**": 4.0,
    "4/5": 4.0,
    "4 out of 5": 4.0,
    "4 of 5": 4.0,
    "4.5": 4.5,
    "3,5": 3.5,
    "Rating: 4": 4.0,
    "I'd rate it 3, maybe 4.": 3.0,
    "On a scale from 1 to 5, I'd give 4.": 4.0,
    "On a 1-5 scale: 2": 2.0,
    "between 1 and 5, so 3": 3.0,
    "In 2024 it was 4.": 4.0,
    "GPT-4 would say 2": 2.0,
    "the 3rd clip: 2": 2.0,
    "1. The voice is calm.\n2. The face smiles.\nRating: 4": 4.0,
    "4. The voice is calm.": 4.0,
    "<think>1 or 2</think>5": 5.0,
    "评分是4分": 4.0,
    "４": 4.0,
    "\\boxed{4}": 4.0,
    "3-4": 3.0,
    "four": None,
    "": None,
    "7": None,
    "-3": None,
    "1,234": None,
    "9/5": None,
    "<think>4": None,
}


@pytest.mark.parametrize(("text", "value"), FROM_1_TO_5.items())
def test_the_first_number_within_the_range_is_read(text: str, value: float | None) -> None:
    assert read_number(text, 1, 5).value == value


@pytest.mark.parametrize(
    ("text", "value"),
    {"-0.5": -0.5, "−0,5": -0.5, "+0.25": 0.25, ".5": 0.5, "valence: -0.7, arousal 0.2": -0.7, "0": 0.0}.items(),
)
def test_numbers_have_signs(text: str, value: float) -> None:
    assert read_number(text, -1, 1).value == value


def test_commas_between_groups_of_three_digits_separate_thousands() -> None:
    assert read_number("about 1,234,567.5 Hz", 0, 1e9).value == 1_234_567.5
    assert read_number("12,5", 0, 1e9).value == 12.5


@given(st.floats(-1000, 1000, allow_nan=False).map(lambda value: round(value, 3)))
def test_a_number_is_read_as_it_is_written(value: float) -> None:
    assert read_number(f"I'd say {value:.3f} here.", -1000, 1000).value == pytest.approx(value)


@given(st.text(max_size=100))
def test_whatever_is_said_a_number_within_the_range_or_none_is_read(text: str) -> None:
    value = read_number(text, 1, 5).value
    assert value is None or 1 <= value <= 5


def test_texts_are_equal_but_for_what_the_parameters_ignore() -> None:
    usual = TextMatching()
    assert usual.normalised(" The  Joy, of a child! ") == usual.normalised("joy of child")
    assert usual.normalised("ＡＮＧＥＲ") == usual.normalised("anger")
    for name in ("ignore_case", "ignore_punctuation", "ignore_articles", "compatible"):
        strict = TextMatching(**{name: False})
        pairs = {
            "ignore_case": "Joy joy",
            "ignore_punctuation": "joy! joy",
            "ignore_articles": "the-joy joy",
            "compatible": "ｊoy joy",
        }
        one, other = pairs[name].split()
        assert usual.normalised(one.replace("-", " ")) == usual.normalised(other)
        assert strict.normalised(one.replace("-", " ")) != strict.normalised(other)


@given(st.text(max_size=60))
def test_the_normal_form_is_its_own_normal_form(text: str) -> None:
    matching = TextMatching()
    assert matching.normalised(matching.normalised(text)) == matching.normalised(text)
