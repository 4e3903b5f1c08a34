"""The course of a planned dialogue, the same in the demo and in every build: roles, emotions, lengths, ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from avemo_harness.benchmark.release import Role
from avemo_harness.data.synthesis.face import FPS

Draft = TypeVar("Draft")

REPLY_EMOTIONS = {"neutral": "neutral", "happy": "happy", "angry": "neutral", "sad": "neutral"}
"""Emotion of the assistant's reply to each: it shares joy and stays calm otherwise."""
_LENGTH_S, _LENGTH_SPREAD_S = (2.4, 2.8), 0.4
"""A sentence has a length, and each recording of it differs from that by at most the spread, whatever the emotion."""


def role_of(turn: int) -> Role:
    """The speaker of a turn; the user begins.

    >>> [role_of(turn) for turn in range(3)]
    ['user', 'assistant', 'user']
    """
    return "assistant" if turn % 2 else "user"


def last_user_turn(turns: int) -> int:
    """The last turn of the user in a dialogue of so many.

    >>> [last_user_turn(turns) for turns in (1, 2, 3, 4, 5)]
    [0, 0, 2, 2, 4]
    """
    return 2 * ((turns - 1) // 2)


def emotion_of(turn: int, emotions: Sequence[str]) -> str:
    """The emotion of a turn: the user's own, or the assistant's, who replies to it.

    Args:
        emotions: of the user's turns, in order.

    >>> [emotion_of(turn, ("angry", "happy")) for turn in range(4)]
    ['angry', 'neutral', 'happy', 'happy']
    """
    of_user = emotions[turn // 2]
    return of_user if role_of(turn) == "user" else REPLY_EMOTIONS[of_user]


def draw_sentence_length(rng: np.random.Generator) -> float:
    """The length of a sentence in seconds, about which its recordings vary."""
    return rng.uniform(*_LENGTH_S)


def draw_frames(length_s: float, rng: np.random.Generator) -> int:
    """The frames of a recording of a sentence of that length."""
    return round((length_s + rng.uniform(-_LENGTH_SPREAD_S, _LENGTH_SPREAD_S)) * FPS)


def shuffle_and_name(
    drafts: Sequence[Draft], prefix: str, digits: int, rng: np.random.Generator
) -> Iterator[tuple[str, Draft]]:
    """Draw the order of dialogues, and number them in it, so that ids tell nothing of story, speaker and emotion.

    Yields:
        Id and draft of each, such as ``single-00012`` with prefix ``single`` and 5 digits.
    """
    for number, index in enumerate(rng.permutation(len(drafts))):
        yield f"{prefix}-{number:0{digits}}", drafts[index]
