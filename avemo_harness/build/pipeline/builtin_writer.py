"""Dialogues from templates: a topic has the same words in every emotion, so that words do not tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from avemo_harness.build.pipeline.backends import Brief, Line, Script
from avemo_harness.build.situations import Situation

VERSION = 1
"""Raised whenever equal briefs begin to give other dialogues."""

_STYLES = {
    "neutral": (
        "even and matter-of-fact, at a steady pace",
        "plain, as when reading a list, the pitch level",
        "quiet and unhurried, without stress on any word",
    ),
    "happy": (
        "bright and quick, the pitch rising",
        "warm and lively, with a smile in the voice",
        "light and playful, a little louder than usual",
    ),
    "angry": (
        "loud and clipped, with hard consonants",
        "tense and fast, stressing every other word",
        "sharp, through clenched teeth, the pitch low",
    ),
    "sad": (
        "slow and soft, the pitch falling",
        "low and breathy, with long pauses",
        "faint and heavy, trailing off at the end",
    ),
}
_REPLY_EMOTIONS = {"neutral": "neutral", "happy": "happy", "angry": "neutral", "sad": "neutral"}
"""The assistant shares joy and stays even otherwise."""


class BuiltinWriter:
    """Fills templates of everyday sentences."""

    @dataclass(frozen=True)
    class Arguments:
        """There are none."""

    def __init__(self, arguments: Arguments) -> None:
        del arguments

    def identity(self) -> Mapping[str, str]:
        return {"tool": "builtin writer", "version": str(VERSION)}

    def write(self, brief: Brief) -> Script:
        """The dialogue of a brief: words drawn by seed and topic alone, styles by the take too."""
        words = np.random.default_rng([brief.seed, brief.topic])
        manner = np.random.default_rng([brief.seed, brief.topic, brief.take, 1])
        situation = Situation.draw(words)
        lines = []
        for turn in range(brief.turns):
            heard = brief.emotions[turn // 2]
            if turn % 2:
                emotion = _REPLY_EMOTIONS[heard]
                lines.append(Line("assistant", situation.reply(words), emotion, _style(emotion, manner)))
            else:
                text = situation.sequel(words) if turn else situation.opening(words)
                lines.append(Line("user", text, heard, _style(heard, manner)))
        return Script(tuple(lines))


def _style(emotion: str, rng: np.random.Generator) -> str:
    return _STYLES[emotion][rng.integers(len(_STYLES[emotion]))]
