"""Who is shown what, and when: every item gets its raters, and no rater sees two systems answer one dialogue."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avemo_harness.human.latin_square import williams_square
from avemo_harness.human.study import Session, Showing, Study

CHECKS_EVERY = 10
"""Rated items to one gold item and one trap."""
REPEATED_SHARE = 0.07
BLOCK_S = 15 * 60.0
RATING_S = 20.0
"""Seconds that judging an item takes beside playing it."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The items that sessions are made of, by id.

    Args:
        rated: shape (dialogues, systems).
        golds, traps: at least `checks_needed` of each.
        seconds: how long each item takes to play.
    """

    rated: Sequence[Sequence[str]]
    golds: Sequence[str]
    traps: Sequence[str]
    seconds: Mapping[str, float]


def checks_needed(dialogues: int) -> int:
    """Gold items, and as many traps, in a session of so many rated items.

    >>> checks_needed(15), checks_needed(30)
    (2, 3)
    """
    return math.ceil(dialogues / CHECKS_EVERY)


def plan_sessions(pool: Pool, raters_an_item: int, seed: int) -> tuple[Session, ...]:
    """Plan `raters_an_item` times as many sessions as there are systems.

    The sessions of a round show the same dialogues in the same order, each with another system, by the rows of a
    Williams square: a round rates every item once, and a session holds every dialogue once.
    """
    rng = np.random.default_rng(seed)
    dialogues, systems = len(pool.rated), len(pool.rated[0])
    rows = williams_square(systems)
    sessions = []
    for number in range(raters_an_item):
        order = rng.permutation(dialogues)
        square = rows[:systems] if number % 2 == 0 else rows[-systems:]
        for row in range(systems):
            # A row of its own for each run through the systems, so that no session repeats one order throughout.
            chosen = [square[(row + place // systems) % systems][place % systems] for place in range(dialogues)]
            rated = [pool.rated[dialogue][system] for dialogue, system in zip(order, chosen, strict=True)]
            sessions.append(_in_blocks(_with_checks(_with_repeats(rated, rng), pool, rng), pool.seconds))
    return tuple(sessions)


def longest_session_s(study: Study) -> float:
    """Seconds that the longest session takes, playing and judging."""
    items = study.by_id()
    return max(
        sum(items[showing.item].seconds + RATING_S for showing in session.showings) for session in study.sessions
    )


def _with_repeats(rated: Sequence[str], rng: np.random.Generator) -> list[Showing]:
    """Some items of the first third come again in the last third."""
    third = len(rated) // 3
    count = min(third, math.ceil(REPEATED_SHARE * len(rated)))
    showings = [Showing(item) for item in rated]
    for position in rng.choice(third, size=count, replace=False) if count else ():
        place = int(rng.integers(len(rated) - third, len(showings) + 1))
        showings.insert(place, Showing(rated[position], repeat=True))
    return showings


def _with_checks(showings: Sequence[Showing], pool: Pool, rng: np.random.Generator) -> list[Showing]:
    """A gold item and a trap somewhere in every ten, none of them twice."""
    parts = checks_needed(len(pool.rated))
    golds, traps = (rng.permutation(len(ids))[:parts] for ids in (pool.golds, pool.traps))
    mixed: list[Showing] = []
    for part, gold, trap in zip(np.array_split(np.arange(len(showings)), parts), golds, traps, strict=True):
        chunk = [showings[index] for index in part]
        for item in (pool.golds[gold], pool.traps[trap]):
            chunk.insert(int(rng.integers(0, len(chunk) + 1)), Showing(item))
        mixed += chunk
    return mixed


def _in_blocks(showings: Sequence[Showing], seconds: Mapping[str, float]) -> Session:
    """Cut a session into blocks of like length, each at most `BLOCK_S` long where single items allow."""
    lengths = [seconds[showing.item] + RATING_S for showing in showings]
    number = max(1, math.ceil(sum(lengths) / BLOCK_S))
    while True:
        blocks = _cut(lengths, number)
        if number >= len(lengths) or all(
            len(block) == 1 or sum(lengths[i] for i in block) <= BLOCK_S for block in blocks
        ):
            return Session(tuple(tuple(showings[i] for i in block) for block in blocks))
        number += 1


def _cut(lengths: Sequence[float], number: int) -> list[list[int]]:
    """The places of a sequence in that many runs of like total length, none of them empty."""
    ends = np.cumsum(lengths)
    middles = ends - np.array(lengths) / 2
    parts = np.minimum(middles / ends[-1] * number, number - 1).astype(int)
    return [np.flatnonzero(parts == part).tolist() for part in range(number) if (parts == part).any()]
