"""The three scales that people rate replies on, as they are worded in the study."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """One five-point scale.

    Args:
        name: as in the table and in files, in lower case.
        question: what the rater is asked.
        anchors: what each point from 1 to 5 means.
    """

    name: str
    title: str
    question: str
    anchors: tuple[str, str, str, str, str]


SCALES = (
    Scale(
        "er",
        "Emotional response",
        "Does the reply take up what the speaker feels?",
        (
            "Ignores the feeling, or answers it in a hurtful way",
            "Misreads the feeling",
            "Neither right nor wrong for the feeling",
            "Takes up the feeling with small lapses",
            "Takes up the feeling just as a caring person would",
        ),
    ),
    Scale(
        "en",
        "Emotional naturalness",
        "Does the feeling in the reply's voice sound natural?",
        (
            "Mechanical, or plainly acted",
            "Mostly unnatural",
            "Partly natural",
            "Mostly natural",
            "As natural as a person speaking",
        ),
    ),
    Scale(
        "rr",
        "Relevance of the reply",
        "Does the reply fit what was said before?",
        (
            "Has nothing to do with it",
            "Hardly fits",
            "Fits in part",
            "Fits with small lapses",
            "Fits fully",
        ),
    ),
)
SCALE_NAMES = tuple(scale.name for scale in SCALES)
