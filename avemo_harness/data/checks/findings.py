"""Findings of a check, and label ratings by raters or a recogniser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["pass", "warn", "fail", "cannot tell"]
"""`warn`: worth knowing, and no reason not to use the release; `cannot tell`: there is too little to decide on."""


LEAST_SHARE = 0.5
"""Of the clips that a check is about; having looked at fewer it says `cannot tell` and never `pass`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check of one config.

    Args:
        summary: one sentence.
        details: numbers and problems of the check's own, as JSON holds them.
    """

    check: str
    config: str
    verdict: Verdict
    summary: str
    details: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As the report holds it."""
        return asdict(self)


def summarise(problems: Sequence[str]) -> str:
    """The first problem, and how many more there are.

    >>> summarise(["turn 3 is silent", "turn 5 is silent"])
    'turn 3 is silent; 1 more in the report'
    """
    more = f"; {len(problems) - 1:,} more in the report" if len(problems) > 1 else ""
    return problems[0] + more


Stream = Literal["sound", "face", "both"]
"""Modality of a clip that was rated; both: its sound and its face together."""

Rule = Literal["majority", "unanimous", "recognizer"]
"""Rule by which a clip is kept: more than half of the raters say its label; all of them do; the recogniser does."""

RatingsByClip = Mapping[tuple[str, Stream], tuple[str, ...]]
"""Digest of a clip and what was shown of it -> the emotion that each one named."""


@dataclass(frozen=True, slots=True)
class LabelRatings:
    """The emotions that raters or a recogniser name.

    Args:
        by: who they are, in words.
        rule: what keeps a clip.
        unplaced: how many opinions are of clips that are not in the release.
    """

    by: str
    rule: Rule
    said: RatingsByClip
    unplaced: int = 0

    def confirm(self, digest: str, stream: Stream, label: str) -> bool | None:
        """True where the rule keeps a clip of this label; None where nobody says anything of it.

        >>> opinions = LabelRatings("two raters", "majority", {("ab", "face"): ("sad", "angry")})
        >>> opinions.confirm("ab", "face", "sad"), opinions.confirm("ab", "sound", "sad")
        (False, None)
        """
        named = self.said.get((digest, stream))
        if not named:
            return None
        agreeing = named.count(label)
        return agreeing == len(named) if self.rule == "unanimous" else 2 * agreeing > len(named)
