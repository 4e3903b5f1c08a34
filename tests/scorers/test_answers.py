"""What counts as naming an emotion."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.scorers.answers import rank_label, read_answer, read_label
from avemo_harness.scorers.base import Answer

EMOTION = LabelOutput(
    type="label",
    labels=("neutral", "happy", "angry", "sad"),
    synonyms={"happy": ("happiness", "joyful", "joy"), "angry": ("anger", "mad"), "sad": ("sadness", "sorrow")},
)
RANKED = EMOTION.model_copy(update={"method": "rank"})
ITEM = Item("task", "d/0", "unit", "d", "d", 0, "full_av", gold="sad")


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
    ("text", "why"),
    [
        ("", "no label"),
        ("I cannot tell.", "no label"),
        ("happy or sad", "several labels"),
        ("not happy", "negated label"),
        ("She isn't very happy", "negated label"),
        ("neither angry", "negated label"),
        ("unhappy", "no label"),
        ("sadly no idea", "no label"),
        ("madness", "no label"),
        ("calm", "no label"),
        ("😀", "no label"),
    ],
)
def test_an_answer_that_names_none_several_or_a_negated_label_is_invalid(text: str, why: str) -> None:
    reading = read_label(text, EMOTION)
    assert (reading.label, reading.why) == (None, why)


@given(st.text(max_size=200))
def test_any_text_is_a_label_or_invalid_and_never_an_exception(text: str) -> None:
    assert read_label(text, EMOTION).label in (*EMOTION.labels, None)


@given(st.sampled_from(EMOTION.labels), st.sampled_from(["{}", " {} ", "{}!", "`{}`", "The answer is {}.", "[{}]"]))
def test_markup_and_case_around_a_label_do_not_matter(label: str, frame: str) -> None:
    assert read_label(frame.format(label.upper()), EMOTION).label == label


LOGPROBS = {"neutral": -2.0, "happy": -1.0, "angry": -1.0, "sad": -3.0}
TOKENS = {"neutral": 1, "happy": 1, "angry": 2, "sad": 4}
PRIORS = {"neutral": -9.0, "happy": -2.0, "angry": -2.5, "sad": -1.0}


def ranked_by(way: str) -> LabelOutput:
    return RANKED.model_copy(update={"rank_by": way})


def test_ranking_takes_the_highest_and_the_first_of_equals() -> None:
    assert rank_label(Answer(ITEM, label_logprobs=LOGPROBS), RANKED).label == "happy"


@pytest.mark.parametrize(
    ("way", "label"),
    [("raw", "happy"), ("length_normalised", "angry"), ("prior_corrected", "neutral")],
)
def test_the_task_names_what_decides_a_ranking(way: str, label: str) -> None:
    answer = Answer(ITEM, label_logprobs=LOGPROBS, label_tokens=TOKENS, label_priors=PRIORS)
    assert read_answer(answer, ranked_by(way)).label == label


@pytest.mark.parametrize("way", ["raw", "length_normalised", "prior_corrected"])
def test_equals_go_to_the_first_label_of_the_task_under_every_way(way: str) -> None:
    same = dict.fromkeys(reversed(EMOTION.labels), -1.5)
    answer = Answer(ITEM, label_logprobs=same, label_tokens=dict.fromkeys(same, 2), label_priors=same)
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
    whole = Answer(ITEM, label_logprobs=LOGPROBS, label_tokens=TOKENS, label_priors=PRIORS)
    reading = read_answer(replace(whole, **given), ranked_by(way))
    assert reading.label is None
    assert reading.why.startswith(why)


def test_a_label_that_is_impossible_is_ranked_last() -> None:
    assert read_answer(Answer(ITEM, label_logprobs={**LOGPROBS, "happy": float("-inf")}), RANKED).label == "angry"


def test_text_is_not_a_ranking() -> None:
    assert rank_label(Answer(ITEM, text="happy"), RANKED).label is None
