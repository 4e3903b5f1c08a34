"""Settings of a study, as its planner gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from avemo_harness.errors import UsageError
from avemo_harness.options import option

Preset = Literal["default", "paper"]
PRESETS: dict[Preset, int] = {"default": 30, "paper": 15}
"""Dialogues of a study; the smaller is the paper's (arXiv 2510.07355), with half-widths of about 0.12."""
LEAST_RATERS = 5
CONSENT = (
    "You will see short recordings of a person and hear replies to them, and say how well each reply fits.",
    "Kept are your ratings, how long each took, how often you played it, and what you write when something does not "
    "work. No name, address or recording of you is asked for or kept.",
    "Taking part is voluntary. You may stop at any time by closing the page.",
)
"""Consent text of a study that brings none of its own."""


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """Settings of a study; each is an option of `avemo-eval human plan`."""

    title: str = field(default="Rating study", metadata=option("what raters see"))
    consent: Path | None = field(
        default=None, metadata=option("what raters agree to, by paragraphs", metavar="FILE.txt")
    )
    preset: Preset = field(default="default", metadata=option("30 dialogues, or the paper's 15"))
    dialogues: int | None = field(default=None, metadata=option("instead of the preset's", metavar="N"))
    raters_an_item: int = field(
        default=LEAST_RATERS, metadata=option("raters of every item, 5 or more", name="raters", metavar="N")
    )
    golds: Path | None = field(
        default=None,
        metadata=option("gold items that experts rated on these scales", name="gold", metavar="FILE.jsonl"),
    )
    most_turns: int = field(default=6, metadata=option("user turns of a dialogue shown", metavar="N"))
    lease_minutes: float = field(default=30.0, metadata=option("silence after which a session is re-issued"))
    seed: int = field(default=0, metadata=option("of every draw"))


def consent_text(path: Path | None) -> tuple[str, ...]:
    """The paragraphs of a file, which empty lines part, or those of `CONSENT` where there is no file.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
    if path is None:
        return CONSENT
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); name a text file in UTF-8") from error
    paragraphs = tuple(" ".join(part.split()) for part in text.split("\n\n") if part.strip())
    if not paragraphs:
        raise UsageError(f"{path}: is empty; write what raters agree to, with whom they can ask")
    return paragraphs
