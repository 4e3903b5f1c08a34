"""A letter is read from whatever an answer to a choice looks like; a wrong one is worse than none."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.request import Item, Response
from avemo_harness.benchmark.task import LETTERS, ChoiceOutput
from avemo_harness.scorers.answer_choices import read_choice, read_option

VOICES = ("a sad voice", "a happy voice", "anger")

SAID = {
    "A": ["A", "a", "A.", "A: a sad voice", "I'd go with A because it fits", "Reply A", "(A) it breaks"],
    "B": [
        *("B", "b", "(B)", "b)", "**B.**", "Option B", "B) a happy voice", "B. a happy voice", "clip B", "[B]"),
        "B: because a man laughs",
        "The answer is B because a smile is heard",
        "B, since a tense voice is out",
        "The best choice would be B.",
        "I'd say B",
        "My answer is B, not A.",
        "It is not A, it's B.",
        "A is wrong. B is right.",
        "A smile is heard, so B",
        "B\n\nA smile is heard.",
        "Option A is sad, while option B is happy. I choose B.",
        "Answer: b",
        "The answer is (b) happy",
        "Answer: B. The speaker in A is sad.",
        "\\boxed{B}",
        "<answer>B</answer>",
        '{"answer": "B"}',
        "<think>A? No, A is sad.</think>B",
        "<|im_start|>B<|im_end|>",
        *("Ｂ", "（Ｂ）", "答案是B", "答案：B。", "选B", "正解はBです", "Die Antwort ist B", "la respuesta es B"),
        *("the second option", "The second clip fits better.", "Option 2", "clip 2", "第二个"),
    ],
    "C": [
        "I choose the third one",
        "I would choose (C).",
        "Answer: A\nAnswer: C",
        "the last recording",
        "It is C, I think",
    ],
}
REPEATED = {
    "A": ["A sad voice."],
    "B": ["A happy voice is heard.", '"a happy voice"'],
    "C": ["The speaker shows anger."],
}
INVALID = {
    "several letters": [
        *("A or B", "both A and B", "The answer is A or B", "The answer is B and C."),
        "A. a sad voice\nB. a happy voice\nC. anger",
        "Option A is sad. Option B is happy.",
    ],
    "no such option": ["D", "The answer is D", "option 7", "E)"],
    "no letter": [
        "",
        "neither",
        "Both.",
        "I think a man laughs.",
        "A man laughs.",
        "I don't know.",
        "None of the above",
    ],
    "unfinished thought": ["<think>B", "<think>It may be B. The answer is B"],
    "several options": ["a sad voice, then a happy voice"],
}


@pytest.mark.parametrize(("letter", "text"), [(letter, text) for letter, texts in SAID.items() for text in texts])
def test_the_letter_that_an_answer_names_is_read(letter: str, text: str) -> None:
    assert read_choice(text, VOICES).label == letter


@pytest.mark.parametrize(("letter", "text"), [(letter, text) for letter, texts in REPEATED.items() for text in texts])
def test_an_option_is_chosen_by_its_text_where_no_letter_is_named(letter: str, text: str) -> None:
    parsed = read_choice(text, VOICES)
    assert (parsed.label, parsed.why) == (letter, "the text of an option")


@pytest.mark.parametrize(("why", "text"), [(why, text) for why, texts in INVALID.items() for text in texts])
def test_an_answer_that_names_no_single_option_is_invalid(why: str, text: str) -> None:
    parsed = read_choice(text, VOICES)
    assert (parsed.label, parsed.why) == (None, why)


def test_the_longer_of_two_options_is_meant_where_one_holds_the_other() -> None:
    assert read_choice("She is very happy.", ("happy", "very happy")).label == "B"
    assert read_choice("She is happy, not very happy.", ("happy", "very happy")).label != "B"


def test_recordings_are_chosen_by_letter_or_place_alone() -> None:
    assert read_choice("The first one.", ("", "")).label == "A"
    assert read_choice("Clip 2 sounds warmer.", ("", "")).label == "B"
    assert read_choice("The reply is warm.", ("", "")).label is None


FORMS = (
    "{}",
    "({})",
    "**{}**",
    "{}.",
    "Option {}",
    "Answer: {}",
    "The answer is {}.",
    "The correct answer is ({}).",
    "答案是{}",
)


@given(
    st.integers(2, 26).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))),
    st.sampled_from(FORMS),
    st.sampled_from(("", "<think>Perhaps A, or B.</think>\n", " \n")),
)
def test_every_letter_is_read_in_every_form(which: tuple[int, int], form: str, before: str) -> None:
    count, which_letter = which
    options = [f"number {index:02} of all" for index in range(count)]
    assert read_choice(before + form.format(LETTERS[which_letter]), options).label == LETTERS[which_letter]


@given(st.text(max_size=200), st.integers(2, 26))
def test_whatever_is_said_a_letter_of_an_option_or_none_is_read(text: str, count: int) -> None:
    parsed = read_choice(text, [f"option text {index}" for index in range(count)])
    assert parsed.label is None or parsed.label in LETTERS[:count]


@given(st.permutations(("laughter", "sobbing", "silence", "shouting")), st.integers(0, 3))
def test_the_text_of_an_option_is_found_wherever_it_stands(options: list[str], chosen: int) -> None:
    assert read_choice(f"I hear {options[chosen]} here.", options).label == LETTERS[chosen]


@pytest.mark.parametrize(
    "text", ["(A " * 40_000, "not " * 40_000, "answer is " * 20_000, "A, " * 40_000, "[" * 100_000]
)
def test_long_answers_are_read_in_time(text: str) -> None:
    started = time.process_time()
    read_choice(text, VOICES)
    assert time.process_time() - started < 2


def test_the_letter_of_the_highest_log_probability_is_ranked_first() -> None:
    item = Item("t", "d/0", "u", "d", "d", 0, "full_av", gold="A", order=(1, 0), choices=("x", "y"))
    response = Response(label_logprobs={"A": -2.0, "B": -0.1})
    parsed = read_option(response, ChoiceOutput(type="choice", method="rank"), item)
    assert (parsed.label, parsed.why) == ("B", "highest log-probability")
