"""Reading a grade from what a grader says: the last whole object, a number that is called one, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.scorers.grades import LONGEST_REASON, GradeError, read_grade

READ = {
    '{"reason": "warm", "grade": 4}': (4.0, "warm"),
    '```json\n{"grade": 2.5, "reason": "cold"}\n```': (2.5, "cold"),
    'First {"reason": "a", "grade": 1}, on reflection {"reason": "b", "grade": 3}.': (3.0, "b"),
    '{"reason": "parts", "parts": {"grade": 1}, "grade": 5}': (5.0, "parts"),
    'He wrote {"grade and so on. {"reason": "r", "grade": "3"}': (3.0, "r"),
    '<think>{"grade": 1}</think>{"grade": 5}': (5.0, ""),
    '{"grade": 4, "reason": 7}': (4.0, ""),
    "4": (4.0, ""),
    "A warm answer with 2 flaws.\n4.": (4.0, ""),
    "**4**": (4.0, ""),
    "It has 2 flaws. Grade: 3": (3.0, ""),
    "Score: [[5]]": (5.0, ""),
    "Rating is 4/5": (4.0, ""),
    "4 out of 5": (4.0, ""),
    "The grade is 4.5": (4.5, ""),
}


@pytest.mark.parametrize("text", READ)
def test_the_grade_and_its_reason_are_read(text: str) -> None:
    assert read_grade(text, 1, 5) == READ[text]


REFUSED = {
    "": "holds no grade",
    "Well, as I said.": "holds no grade",
    '{"reason": "He named 3 feel': "no whole JSON object with a grade",
    '{"reason": "grade: 4, of course': "no whole JSON object with a grade",
    '{"reason": "no grade"}': "no whole JSON object with a grade",
    "хорошо 4": "holds no grade",
    "\ufffd(4\ufffd": "holds no grade",
    "2 good points and 3 bad ones": "holds no grade",
    "I need 3 more details.": "holds no grade",
    "4\nThat is all that I can say.": "holds no grade",
    "<think>It is a 4": "ends within a thought",
    '{"grade": 50}': r"the grade 50 lies outside the scale from 1 to 5",
    '{"grade": 0.5}': "lies outside",
    '{"grade": null}': "expected a number from 1 to 5",
    '{"grade": true}': "expected a number from 1 to 5",
    '{"grade": NaN}': "expected a number from 1 to 5",
    '{"grade": Infinity}': "lies outside",
    '{"grade": [4]}': "expected a number from 1 to 5",
    "Score: 8/10": "out of 10, the scale ends at 5",
    "Grade: 7": "lies outside",
}


@pytest.mark.parametrize("text", REFUSED)
def test_no_grade_is_better_than_a_wrong_one(text: str) -> None:
    with pytest.raises(GradeError, match=REFUSED[text]):
        read_grade(text, 1, 5)


@given(st.text(), st.integers(1, 5), st.text())
def test_whatever_the_reason_and_the_words_before_an_object_its_grade_is_read(
    before: str, grade: int, reason: str
) -> None:
    # Marks of thoughts are no words, wherever they stand.
    before, reason = (text.translate(str.maketrans("<[◁", "(((")) for text in (before, reason))
    told = json.dumps({"reason": reason, "grade": grade})
    found, why = read_grade(f"{before}\n{told}", 1, 5)
    assert (found, why) == (grade, reason[:LONGEST_REASON])


@given(st.text(max_size=400))
def test_any_answer_gives_a_grade_on_the_scale_or_an_error_of_its_own(text: str) -> None:
    try:
        grade, _ = read_grade(text, 1, 5)
    except GradeError:
        return
    assert 1 <= grade <= 5


def test_an_endless_answer_is_read_in_bounded_time() -> None:
    for filler in ("{", '{"grade":', "[" * 50 + "{", "4 5 "):
        with pytest.raises(GradeError):
            read_grade(filler * 200_000, 1, 5)
