"""What others say of the labels, stream by stream, and what keeps a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Stream = Literal["sound", "face", "both"]
"""What somebody was shown of a clip; both: its sound and its face together."""

Rule = Literal["majority", "unanimous", "recognizer"]
"""What keeps a clip: more than half of the raters say its label; all of them do; the recogniser does."""

Said = Mapping[tuple[str, Stream], tuple[str, ...]]
"""Digest of a clip and what was shown of it -> the emotion that each one named."""


@dataclass(frozen=True, slots=True)
class Opinions:
    """The emotions that raters or a recogniser name.

    Args:
        by: who they are, in words.
        rule: what keeps a clip.
        unplaced: how many opinions are of clips that are not in the release.
    """

    by: str
    rule: Rule
    said: Said
    unplaced: int = 0

    def confirm(self, digest: str, stream: Stream, label: str) -> bool | None:
        """Whether the rule keeps a clip of this label; None where nobody says anything of it.

        >>> opinions = Opinions("two raters", "majority", {("ab", "face"): ("sad", "angry")})
        >>> opinions.confirm("ab", "face", "sad"), opinions.confirm("ab", "sound", "sad")
        (False, None)
        """
        named = self.said.get((digest, stream))
        if not named:
            return None
        agreeing = named.count(label)
        return agreeing == len(named) if self.rule == "unanimous" else 2 * agreeing > len(named)
