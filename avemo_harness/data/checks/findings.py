"""Options and findings of a check, and label ratings by raters or a recogniser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from avemo_harness.benchmark.task import NoiseName
from avemo_harness.options import option

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


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """Scope and rules of a check; each is an option of `avemo-eval data check`."""

    config: str | None = field(default=None, metadata=option("check this config alone", metavar="NAME"))
    media_root: Path | None = field(
        default=None, metadata=option("folder of clips that are named by path", metavar="DIR")
    )
    noise: NoiseName = field(default="speech_shaped", metadata=option("what replaces speech under video_only"))
    votes: Path | None = field(default=None, metadata=option("raters' votes on clips", metavar="FILE.csv"))
    recognizer: str = field(
        default="fusion",
        metadata=option(
            "what verifies labels: a recogniser that learns from the other speakers of the release, or "
            "the folder of one trained by `avemo-eval recognizer`",
            metavar="NAME|DIR",
        ),
    )
    drop: Rule | None = field(
        default=None,
        metadata=option(
            "which clips are not confirmed: those whose label is not named by most raters, by all of them, or by the "
            "recogniser (default: majority with --votes, else recognizer)"
        ),
    )

    @property
    def rule(self) -> Rule:
        """The rule by which a clip is kept."""
        return self.drop or ("recognizer" if self.votes is None else "majority")


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
