"""The three scales that people rate replies on, as they are worded in the study.

A wording has a name, which goes with every rating. Whoever changes a word here gives the wording another name: ratings
given on two wordings are never averaged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from avemo_harness.errors import UsageError
from avemo_harness.report.results_file import BENCHMARK_SCALES

SCALES_VERSION = BENCHMARK_SCALES
"""The wording of `SCALES`."""
_VERSION = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


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
        "Emotional rationality",
        "How right is the reply's feeling for this person now? Understanding counts, sounding alike does not: anger "
        "that answers anger is no 5.",
        (
            "Hurtful or out of place, such as cheer at a loss",
            "Misses how the person feels, or only echoes it",
            "Does no harm, but shows little insight",
            "Understands, with a tone that is slightly off",
            "Understands, with the tone that helps right now",
        ),
    ),
    Scale(
        "en",
        "Emotional naturalness",
        "How natural and smooth is the feeling in the reply's voice? Judge the voice alone, not what it says.",
        (
            "Robotic, or a feeling that is plainly put on",
            "Mostly mechanical or forced",
            "Natural in parts, stiff or overdone in others",
            "Natural, with small slips",
            "Natural and smooth, as a person speaks",
        ),
    ),
    Scale(
        "rr",
        "Response relevance",
        "How well do the words meet this person's needs, for comfort and in the matter itself? Kind words that would "
        "suit anybody are no 5.",
        (
            "Nothing to do with it, or against the person",
            "Touches the subject, but meets no need",
            "Fits, but in general: would suit many others",
            "Meets the main need, using some of what was said",
            "Specific, detailed help that uses what was said",
        ),
    ),
)
SCALE_NAMES = tuple(scale.name for scale in SCALES)


def checked_version(name: str, where: str) -> str:
    """The name of a wording of the scales, as it may be stored.

    Args:
        where: what the name was found in, for the error.

    Raises:
        UsageError: it is no such name.
    """
    if not _VERSION.fullmatch(name):
        raise UsageError(
            f"{where}: expected the name of the scales' wording in small letters, digits, '.', '_' and '-', such as "
            f"{SCALES_VERSION}, found {name[:60]!r}"
        )
    return name
