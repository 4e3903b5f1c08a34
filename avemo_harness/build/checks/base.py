"""What a check says: a verdict, one line for the terminal, and the records that it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

RECORD = "checks.json"
"""Where the findings stand in a release, for its card."""

Verdict = Literal["pass", "warn", "fail", "cannot tell"]
"""`warn`: worth knowing, and no reason not to use the release; `cannot tell`: there is too little to decide on."""


LEAST_SHARE = 0.5
"""Of the clips that a check is about; having looked at fewer it says `cannot tell` and never `pass`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found in one config.

    Args:
        summary: one sentence.
        details: a frozen dataclass of the check's own.
    """

    check: str
    config: str
    verdict: Verdict
    summary: str
    details: Any

    def to_json(self) -> dict[str, Any]:
        """As the report holds it."""
        return {
            "check": self.check,
            "config": self.config,
            "verdict": self.verdict,
            "summary": self.summary,
            "details": asdict(self.details),
        }


@dataclass(frozen=True, slots=True)
class Problems:
    """Sentences, the first of them all that a summary needs."""

    problems: tuple[str, ...]


def told(problems: tuple[str, ...]) -> str:
    """The first problem, and how many more there are.

    >>> told(("turn 3 is silent", "turn 5 is silent"))
    'turn 3 is silent; 1 more in the report'
    """
    more = f"; {len(problems) - 1:,} more in the report" if len(problems) > 1 else ""
    return problems[0] + more
