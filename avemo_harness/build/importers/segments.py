"""Stretches of a conversation that the benchmark can ask about: 3 to 5 turns of two people who take turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST, SHORTEST = 5, 3


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance of a conversation that there is a clip of.

    Args:
        askable: whether its emotion is one of the benchmark's, so that it may be the user's.
        follows: whether nothing was said between it and the one before it.
    """

    speaker: str
    askable: bool
    follows: bool = True


def cut_segments(talk: Sequence[Utterance]) -> list[range]:
    """Cut a conversation into segments that do not overlap, from its beginning, each as long as can be.

    In a segment two people alternate; whoever begins is the user, and all of the user's utterances are askable.

    Returns:
        The places of each segment's utterances.

    >>> talk = [Utterance("a", True), Utterance("b", False), Utterance("a", True), Utterance("a", True)]
    >>> cut_segments(talk)
    [range(0, 3)]
    """
    segments = []
    place = 0
    while place < len(talk):
        length = _longest(talk[place : place + LONGEST])
        if length >= SHORTEST:
            segments.append(range(place, place + length))
        place += length if length >= SHORTEST else 1
    return segments


def _longest(talk: Sequence[Utterance]) -> int:
    """How many of these utterances, from the first, a segment can have."""
    for place, one in enumerate(talk):
        users = place % 2 == 0
        expected = talk[place % 2].speaker if place > 1 else one.speaker
        strange = one.speaker != expected or (place == 1 and one.speaker == talk[0].speaker)
        if strange or (users and not one.askable) or (place and not one.follows):
            return place
    return len(talk)
