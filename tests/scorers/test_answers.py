"""Answers are stripped of what is no answer, and name an emotion or are invalid."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.request import Response
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.scorers.answer_words import PHRASES
from avemo_harness.scorers.answers import EDGE, ParsedLabel, clean_answer, rank_label, read_answer, read_label

EMOTION = LabelOutput(
    type="label",
    labels=("neutral", "happy", "angry", "sad"),
    synonyms={"happy": ("happiness", "joyful", "joy"), "angry": ("anger", "mad"), "sad": ("sadness", "sorrow")},
)
RANKED = EMOTION.model_copy(update={"method": "rank"})


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("happy", "happy"),
        ("  Happy.\n", "happy"),
        ("**Sad**", "sad"),
        ("<b>angry</b>", "angry"),
        ("“Neutral”", "neutral"),
        ("ＨＡＰＰＹ", "happy"),
        ("The speaker sounds joyful!", "happy"),
        ("I hear anger in the voice, she is mad.", "angry"),
        ("_sadness_", "sad"),
        ("Emotion: sad", "sad"),
    ],
)
def test_an_answer_that_names_one_label_is_read(text: str, label: str) -> None:
    assert read_label(text, EMOTION).label == label


@pytest.mark.parametrize(
    ("text", "label", "why"),
    [
        ("Happy!", "happy", "exact"),
        ("sad, sad", "sad", "exact"),
        ("happy or sad. Answer: sad", "sad", "announced"),
        ("The speaker sounds joyful.", "happy", "only label"),
        ("", None, "no label"),
        ("I cannot tell.", None, "no label"),
        ("happy or sad", None, "several labels"),
        ("not happy", None, "negated label"),
        ("neither angry", None, "negated label"),
        ("neutral, happy, angry or sad", None, "list of all labels"),
        ("<think>happy", None, "unfinished thought"),
        ("unhappy", None, "no label"),
        ("sadly no idea", None, "no label"),
        ("madness", None, "no label"),
        ("calm", None, "no label"),
        ("😀", None, "no label"),
    ],
)
def test_a_parsed_label_tells_the_step_that_decided(text: str, label: str | None, why: str) -> None:
    assert read_label(text, EMOTION) == ParsedLabel(label, why)


@given(st.text(max_size=200))
def test_any_text_is_a_label_or_invalid_and_never_an_exception(text: str) -> None:
    assert read_label(text, EMOTION).label in (*EMOTION.labels, None)


phrases = st.sampled_from([phrase for kind in PHRASES.values() for phrase in kind])
marks = st.sampled_from(
    [" ", ", ", ": ", "? ", ". ", "\n", "-> ", "<think>", "</think>", "{", "'", "n't ", "- ", "不", "화"]
)
soups = st.lists(st.sampled_from(EMOTION.labels) | phrases | marks, max_size=30).map("".join)


@given(soups)
def test_a_label_is_only_read_where_one_of_its_words_stands(text: str) -> None:
    label = read_label(text, EMOTION).label
    words = {word for labels in EMOTION.synonyms.values() for word in labels.get(label or "", ())} | {label}
    assert label is None or any(word in text for word in words if word)


@given(soups)
def test_case_width_emphasis_and_a_thought_before_it_do_not_change_how_an_answer_is_read(text: str) -> None:
    plain = read_label(text, EMOTION).label
    assert read_label(text.upper(), EMOTION).label == plain
    if not any(mark in text for mark in ("think", "'", "-", "<", "&", "/", "{")):
        assert read_label(f"**{text}**", EMOTION).label == plain
        assert read_label(f"<think>happy, sad</think>{text}", EMOTION).label in (plain, None)


@given(st.sampled_from(EMOTION.labels), st.sampled_from(["{}", " {} ", "{}!", "`{}`", "The answer is {}.", "[{}]"]))
def test_markup_and_case_around_a_label_do_not_matter(label: str, frame: str) -> None:
    assert read_label(frame.format(label.upper()), EMOTION).label == label


@pytest.mark.parametrize(
    "denial", ["not {}", "She isn't {}.", "no {} at all", "他不{}", "It is anything but {}", "{}? No."]
)
@pytest.mark.parametrize("word", ["happy", "angry", "sad", "neutral"])
def test_a_denied_label_is_never_read(denial: str, word: str) -> None:
    assert read_label(denial.format(word), EMOTION).label is None


def calls_to_read(text: str) -> int:
    """Calls of functions that reading makes: a measure of work that does not depend on the machine."""
    read_label("warm", EMOTION)
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        read_label(text, EMOTION)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "part",
    [
        *("happy or sad ", "not ", "emotion: ", "happy, then ", ": ", "if i ", "<", "不高", "화가 ", "so "),
        *('"a ', '"', "-> happy ", "could happy but "),
    ],
)
def test_work_grows_with_the_answer_and_ends_at_its_first_and_last_two_thousand_characters(part: str) -> None:
    short, long = (part * (size // len(part)) for size in (1_000, 4_000))
    assert calls_to_read(long) < 5 * calls_to_read(short) + 500
    assert calls_to_read(part * (1_000_000 // len(part))) < 1.2 * calls_to_read(long) + 500


def test_only_both_ends_of_a_long_answer_are_looked_at() -> None:
    filler = "and then some words " * 500
    assert read_label(f"Sad. {filler}", EMOTION).label == "sad"
    assert read_label(f"{filler} Answer: sad", EMOTION).label == "sad"
    assert read_label(f"{filler} happy {filler}", EMOTION).label is None
    assert read_label(f"<think>{filler} happy {filler}</think> sad {filler}", EMOTION).label == "sad"


def test_labels_may_be_words_that_steer_reading_elsewhere_or_several_words() -> None:
    agreement = LabelOutput(type="label", labels=("yes", "no", "don't know"))
    for text, label in [
        ("No.", "no"),
        ("Yes, it is.", "yes"),
        ("I don't know", "don't know"),
        ("The answer is: no", "no"),
    ]:
        assert read_label(text, agreement).label == label
    degrees = LabelOutput(type="label", labels=("happy", "very happy", "in between the two of them"))
    for text, label in [("She's very happy.", "very happy"), ("It's in between the two of them!", degrees.labels[2])]:
        assert read_label(text, degrees).label == label
    scale = LabelOutput(type="label", labels=("1", "2", "+"))
    for text, label in [("2.", "2"), ("Answer: 1", "1"), ("+", "+")]:
        assert read_label(text, scale).label == label


def test_synonyms_of_every_language_count_at_once() -> None:
    languages = {"fi": {"happy": ["iloinen"]}, "ru": {"sad": ["грустный"]}, "zh": {"sad": ["难过"]}}
    output = LabelOutput(type="label", labels=("happy", "sad"), synonyms=languages)
    for text, label in [("Hän on iloinen.", "happy"), ("Он ГРУСТНЫЙ", "sad"), ("他很难过", "sad")]:
        assert read_label(text, output).label == label


LOGPROBS = {"neutral": -2.0, "happy": -1.0, "angry": -1.0, "sad": -3.0}
TOKENS = {"neutral": 1, "happy": 1, "angry": 2, "sad": 4}
PRIORS = {"neutral": -9.0, "happy": -2.0, "angry": -2.5, "sad": -1.0}


def ranked_by(way: str) -> LabelOutput:
    return RANKED.model_copy(update={"rank_by": way})


def test_ranking_takes_the_highest_and_the_first_of_equals() -> None:
    assert rank_label(Response(label_logprobs=LOGPROBS), RANKED).label == "happy"


@pytest.mark.parametrize(
    ("way", "label"),
    [("raw", "happy"), ("length_normalised", "angry"), ("prior_corrected", "neutral")],
)
def test_the_task_names_what_decides_a_ranking(way: str, label: str) -> None:
    answer = Response(label_logprobs=LOGPROBS, label_tokens=TOKENS, label_priors=PRIORS)
    assert read_answer(answer, ranked_by(way)).label == label


@pytest.mark.parametrize("way", ["raw", "length_normalised", "prior_corrected"])
def test_equals_go_to_the_first_label_of_the_task_under_every_way(way: str) -> None:
    same = dict.fromkeys(reversed(EMOTION.labels), -1.5)
    answer = Response(label_logprobs=same, label_tokens=dict.fromkeys(same, 2), label_priors=same)
    assert read_answer(answer, ranked_by(way)).label == "neutral"


@pytest.mark.parametrize(
    ("way", "given", "why"),
    [
        ("raw", {"label_logprobs": None}, "labels not ranked"),
        ("raw", {"label_logprobs": {"happy": -1.0}}, "labels not ranked"),
        ("raw", {"label_logprobs": {**LOGPROBS, "sad": float("nan")}}, "scores of the labels are not numbers"),
        ("raw", {"label_logprobs": dict.fromkeys(LOGPROBS, float("-inf"))}, "scores of the labels are not numbers"),
        ("length_normalised", {"label_tokens": None}, "the model gave no number of tokens for each label"),
        ("length_normalised", {"label_tokens": {"happy": 1}}, "the model gave no number of tokens for each label"),
        ("length_normalised", {"label_tokens": {**TOKENS, "sad": 0}}, "the model gave no number of tokens"),
        ("prior_corrected", {"label_priors": None}, "the model gave no scores of the labels without media"),
        ("prior_corrected", {"label_priors": {"happy": -1.0}}, "the model gave no scores of the labels without"),
    ],
)
def test_an_answer_that_lacks_what_decides_is_invalid_and_says_what(way: str, given: dict, why: str) -> None:
    whole = Response(label_logprobs=LOGPROBS, label_tokens=TOKENS, label_priors=PRIORS)
    parsed = read_answer(replace(whole, **given), ranked_by(way))
    assert parsed.label is None
    assert parsed.why.startswith(why)


def test_a_label_that_is_impossible_is_ranked_last() -> None:
    assert read_answer(Response(label_logprobs={**LOGPROBS, "happy": float("-inf")}), RANKED).label == "angry"


def test_text_is_not_a_ranking() -> None:
    assert rank_label(Response(text="happy"), RANKED).label is None


def words(text: str) -> str:
    return " ".join((clean_answer(text) or "").split())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>a</think>b", "b"),
        ("<THINK>a</THINK>b", "b"),
        ("a</think>b", "b"),
        ("<think>a<think>b</think>c</think>d", "d"),
        ("a<think>b</think>", "a"),
        ("<reasoning>a</reasoning><answer>b</answer>", "answer: b"),
        ("[THINK]a[/THINK]b", "b"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b", "b"),
        ("think about <it> a", "think about a"),
    ],
)
def test_thoughts_are_cut(text: str, left: str) -> None:
    assert words(text) == left


@pytest.mark.parametrize("text", ["<think>a", "a<think>b", "<think>a</think>b<think>c", "◁think▷a"])
def test_an_unfinished_thought_leaves_nothing(text: str) -> None:
    assert clean_answer(text) is None


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("**A** _b_ `c` # d", "a b c d"),
        ("Ａ：ｂ", "a:b"),
        ("\\boxed{\\text{a}}", "answer: a"),
        ("<emotion>a</emotion>", "answer: a"),
        ("<|A|><|b|>", "a b"),
        ("a<|im_end|>\nuser: b", "a"),
        ("</s>a", "a"),
        ("- a\n2. b\n(c) d", "a b d"),
        ("a -- b - c", "a — b — c"),
        ("a->b=>c-->d", "a→b→c→d"),
        ("'a' don't “b”", "a don't b"),
        ("Final: a", "final answer: a"),
        ('{"a": "b"}', "a : b"),
        ('a "b c?" d', "a — b c? d"),
    ],
)
def test_markup_goes_and_clause_marks_stay(text: str, left: str) -> None:
    assert words(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Happy to help! a", "! a"),
        ("I'm really sad, a", ", a"),
        ("If I had to choose, a", ", a"),
        ("很高兴能帮助你", "帮助你"),
        ("Ich bin glücklich, Ihnen zu helfen. a", "ich bin . a"),
    ],
)
def test_polite_formulas_go(text: str, left: str) -> None:
    assert words(text) == left


def test_an_answer_keeps_its_first_and_last_characters_whatever_they_grow_to() -> None:
    assert len(clean_answer("x" * 10 * EDGE) or "") == 2 * EDGE + 1
    # NFKC makes eighteen characters of this one.
    assert len(clean_answer("\ufdfa" * 10 * EDGE) or "") <= 2 * EDGE + 1
