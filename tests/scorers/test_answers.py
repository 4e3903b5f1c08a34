"""What counts as naming an emotion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.scorers.answers import rank_label, read_label
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


def test_ranking_takes_the_highest_and_the_first_of_equals() -> None:
    scores = {"neutral": -2.0, "happy": -1.0, "angry": -1.0, "sad": -3.0}
    assert rank_label(Answer(ITEM, label_logprobs=scores), RANKED).label == "happy"


def test_an_answer_without_scores_for_every_label_is_not_ranked() -> None:
    assert rank_label(Answer(ITEM, text="happy"), RANKED).label is None
    assert rank_label(Answer(ITEM, label_logprobs={"happy": -1.0}), RANKED).label is None
