"""The sessions of a study: planned by Williams squares, and allocated to raters under leases."""

from __future__ import annotations

import hashlib
import hmac
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avemo_harness.human.study import Session, Showing, Study


def williams_square(size: int) -> list[list[int]]:
    """Rows of a Williams design: `size` rows where that is even, twice as many where it is odd.

    Each condition stands once in every column of each `size` rows, and directly after each other one equally often
    over all rows.

    >>> williams_square(4)
    [[0, 3, 1, 2], [1, 0, 2, 3], [2, 1, 3, 0], [3, 2, 0, 1]]
    >>> williams_square(3)
    [[0, 2, 1], [1, 0, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1], [0, 1, 2]]
    """
    zigzag = [position // 2 if position % 2 == 0 else size - (position + 1) // 2 for position in range(size)]
    rows = [[(start + step) % size for step in zigzag] for start in range(size)]
    return rows if size % 2 == 0 else rows + [row[::-1] for row in rows]


CHECKS_EVERY = 10
"""Rated items to one gold item and one trap."""
REPEATED_SHARE = 0.07
BLOCK_S = 15 * 60.0
RATING_S = 20.0
"""Seconds that judging an item takes beside playing it."""


def checks_needed(dialogues: int) -> int:
    """Gold items, and as many traps, in a session of so many rated items.

    >>> checks_needed(15), checks_needed(30)
    (2, 3)
    """
    return math.ceil(dialogues / CHECKS_EVERY)


def plan_sessions(
    rated: Sequence[Sequence[str]],
    golds: Sequence[str],
    traps: Sequence[str],
    seconds: Mapping[str, float],
    raters_an_item: int,
    seed: int,
) -> tuple[Session, ...]:
    """Plan `raters_an_item` times as many sessions as there are systems.

    The sessions of a round show the same dialogues in the same order, each with another system, by the rows of a
    Williams square: a round rates every item once, and a session holds every dialogue once.

    Args:
        rated: ids of items, shape (dialogues, systems).
        golds, traps: ids, at least `checks_needed` of each.
        seconds: how long each item takes to play.
    """
    rng = np.random.default_rng(seed)
    dialogues, systems = len(rated), len(rated[0])
    rows = williams_square(systems)
    sessions = []
    for number in range(raters_an_item):
        order = rng.permutation(dialogues)
        square = rows[:systems] if number % 2 == 0 else rows[-systems:]
        for row in range(systems):
            # A row of its own for each run through the systems, so that no session repeats one order throughout.
            chosen = [square[(row + index // systems) % systems][index % systems] for index in range(dialogues)]
            shown = [rated[dialogue][system] for dialogue, system in zip(order, chosen, strict=True)]
            showings = _with_checks(_with_repeats(shown, rng), golds, traps, checks_needed(dialogues), rng)
            sessions.append(_in_blocks(showings, seconds))
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
        insert_at = int(rng.integers(len(rated) - third, len(showings) + 1))
        showings.insert(insert_at, Showing(rated[position], repeat=True))
    return showings


def _with_checks(
    showings: Sequence[Showing], golds: Sequence[str], traps: Sequence[str], count: int, rng: np.random.Generator
) -> list[Showing]:
    """A gold item and a trap somewhere in each of `count` parts, none of them twice."""
    drawn = [[ids[index] for index in rng.permutation(len(ids))[:count]] for ids in (golds, traps)]
    mixed: list[Showing] = []
    for part, *checks in zip(np.array_split(np.arange(len(showings)), count), *drawn, strict=True):
        chunk = [showings[index] for index in part]
        for item in checks:
            chunk.insert(int(rng.integers(0, len(chunk) + 1)), Showing(item))
        mixed += chunk
    return mixed


def _in_blocks(showings: Sequence[Showing], seconds: Mapping[str, float]) -> Session:
    """Cut a session into blocks of like length, each at most `BLOCK_S` long where single items allow."""
    lengths = [seconds[showing.item] + RATING_S for showing in showings]
    number = max(1, math.ceil(sum(lengths) / BLOCK_S))
    while True:
        blocks = _split_evenly(lengths, number)
        if number >= len(lengths) or all(
            len(block) == 1 or sum(lengths[i] for i in block) <= BLOCK_S for block in blocks
        ):
            return Session(tuple(tuple(showings[i] for i in block) for block in blocks))
        number += 1


def _split_evenly(lengths: Sequence[float], number: int) -> list[list[int]]:
    """The places of a sequence in that many runs of like total length, none of them empty."""
    ends = np.cumsum(lengths)
    middles = ends - np.array(lengths) / 2
    parts = np.minimum(middles / ends[-1] * number, number - 1).astype(int)
    return [np.flatnonzero(parts == part).tolist() for part in range(number) if (parts == part).any()]


@dataclass(frozen=True, slots=True)
class PendingItem:
    """A position in a session that a rater has still to rate.

    Args:
        session, content: the session's number, and the session itself.
        number, of: as the rater counts.
    """

    session: int
    content: Session
    position: int
    showing: Showing
    number: int
    of: int


def sessions_of(db: sqlite3.Connection, study: Study) -> dict[int, Session]:
    """The sessions of a plan, and behind them those that were added since, by number."""
    sessions = dict(enumerate(study.sessions))
    for row in db.execute("SELECT number, copy_of FROM extra_sessions ORDER BY number"):
        sessions[row["number"]] = study.sessions[row["copy_of"]]
    return sessions


class SeatAllocator:
    """The sessions of a study and who holds them. Every method runs inside the caller's transaction.

    Args:
        secret: keeps the names of showings from being guessed.
    """

    def __init__(self, study: Study, secret: bytes) -> None:
        self._study = study
        self._secret = secret

    def take(self, db: sqlite3.Connection, rater: int, now: float) -> int | None:
        """Give a rater the first session that nobody holds, else one whose holder gave no sign for a lease's time.

        Returns:
            The session; None where every place is taken.
        """
        held = {int(row["session"]): row for row in db.execute("SELECT session, rater, seen, stage FROM holders")}
        free = [number for number in sessions_of(db, self._study) if number not in held]
        overdue = now - 60 * self._study.lease_minutes
        left = sorted(
            (row["seen"], number) for number, row in held.items() if row["stage"] != "done" and row["seen"] < overdue
        )
        for session in [*free, *(number for _, number in left)]:
            if self._to_rate(db, session, rater):
                if session in held:
                    self._evict(db, session)
                db.execute("INSERT INTO seats VALUES (?, ?)", (session, rater))
                return session
        return None

    def release(self, db: sqlite3.Connection, rater: int) -> None:
        """Free a rater's session for somebody else."""
        db.execute("DELETE FROM seats WHERE rater = ?", (rater,))

    def next_item(self, db: sqlite3.Connection, rater: int) -> PendingItem | None:
        """The rater's next item; None where nothing is left."""
        session = self.session_of(db, rater)
        if session is None:
            return None
        positions = self._to_rate(db, session, rater)
        if not positions:
            return None
        (done,) = db.execute(
            "SELECT COUNT(*) FROM ratings WHERE session = ? AND rater = ?", (session, rater)
        ).fetchone()
        content = sessions_of(db, self._study)[session]
        showing = content.showings[positions[0]]
        return PendingItem(session, content, positions[0], showing, done + 1, done + len(positions))

    def session_of(self, db: sqlite3.Connection, rater: int) -> int | None:
        """The session that a rater holds."""
        row = db.execute("SELECT session FROM seats WHERE rater = ?", (rater,)).fetchone()
        return None if row is None else int(row["session"])

    def showing_id(self, rater: int, *where: int | str) -> str:
        """Opaque id of a position for one rater: HMAC-SHA256 under the study's secret, 32 hex digits."""
        text = "/".join(map(str, (rater, *where)))
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()[:32]

    def _to_rate(self, db: sqlite3.Connection, session: int, rater: int) -> list[int]:
        """Positions without a rating, but for repeats of what another rater rated: they would not be repeats."""
        by = {
            row["position"]: row["rater"]
            for row in db.execute("SELECT position, rater FROM ratings WHERE session = ?", (session,))
        }
        showings = sessions_of(db, self._study)[session].showings
        first = {showing.item: position for position, showing in enumerate(showings) if not showing.repeat}
        return [
            position
            for position, showing in enumerate(showings)
            if position not in by and not (showing.repeat and by.get(first[showing.item], rater) != rater)
        ]

    def _evict(self, db: sqlite3.Connection, session: int) -> None:
        db.execute(
            "UPDATE raters SET stage = 'lapsed' WHERE number = (SELECT rater FROM seats WHERE session = ?)", (session,)
        )
        db.execute("DELETE FROM seats WHERE session = ?", (session,))
