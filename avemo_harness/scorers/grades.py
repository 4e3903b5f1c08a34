"""Read a grade from what a model says that grades an answer by a rubric."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from avemo_harness.scorers.answers import without_thoughts

LONGEST = 20_000
"""Characters at the end of a grader's answer that are looked at."""
LONGEST_REASON = 2_000
"""Characters of a reason that are kept."""
_QUOTED = 80

_FRACTION = r"(-?\d+(?:\.\d+)?)(?:\s*(?:/|out of)\s*(\d+(?:\.\d+)?))?"
_NAMED = re.compile(rf"\b(?:grade|score|rating)\b[\s*_:=]*(?:is\s+)?[*_\[(]*{_FRACTION}", re.IGNORECASE)
_NUMBER_ALONE = re.compile(rf"[\s*_#\"'`(\[]*{_FRACTION}[\s*_\"'`)\].!]*")


class GradeError(ValueError):
    """An answer of a grader holds no grade; the message says why."""


def read_grade(text: str, low: float, high: float) -> tuple[float, str]:
    """The grade and the reason in a grader's answer: those of the last JSON object with a grade, else a number.

    A number counts where it is called grade, score or rating, or is all of the last line; "4/5" and "4 out of 5" are 4.
    Nothing is read from an answer that begins an object and does not end it: its numbers may be parts of the reason.

    Raises:
        GradeError: there is no grade, or it lies outside the scale.

    >>> read_grade('Let me see. {"reason": "warm", "grade": 4}', 1, 5), read_grade("Score: **4/5**", 1, 5)
    ((4.0, 'warm'), (4.0, ''))
    """
    outside, unfinished = without_thoughts(text)
    if unfinished:
        raise GradeError("the grader's answer ends within a thought")
    told = outside[-LONGEST:].strip()
    if found := list(_graded_objects(told)):
        reason = found[-1].get("reason")
        return _on_scale(found[-1]["grade"], low, high), reason[:LONGEST_REASON] if isinstance(reason, str) else ""
    if "{" in told:
        raise GradeError(f"the grader's answer holds no whole JSON object with a grade: {_shown(told)}")
    return _number(told, low, high), ""


def _graded_objects(text: str) -> Iterator[Mapping[str, Any]]:
    """JSON objects that have a grade and are part of no other, in order."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        end = start + 1
        with suppress(ValueError, RecursionError):  # a brace that begins no object
            value, end = decoder.raw_decode(text, start)
            if "grade" in value:
                yield value
        start = text.find("{", end)


def _number(text: str, low: float, high: float) -> float:
    last_line = text.rpartition("\n")[2]
    found = _NAMED.findall(text) or _number_alone(last_line)
    if not found:
        raise GradeError(f"the grader's answer holds no grade: {_shown(text)}")
    grade, of = found[-1]
    if of and float(of) != high:
        raise GradeError(f"the grade is out of {of}, the scale ends at {high:g}: {_shown(text)}")
    return _on_scale(grade, low, high)


def _number_alone(line: str) -> list[tuple[str, str]]:
    found = _NUMBER_ALONE.fullmatch(line)
    return [(found[1], found[2] or "")] if found else []


def _on_scale(value: Any, low: float, high: float) -> float:
    try:
        grade = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        grade = math.nan
    if math.isnan(grade):
        raise GradeError(f"the grade is {_shown(str(value))}, expected a number from {low:g} to {high:g}")
    if not low <= grade <= high:
        raise GradeError(f"the grade {grade:g} lies outside the scale from {low:g} to {high:g}")
    return grade


def _shown(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…")
