"""Who sits in which session: one rater each, and another one for what is left when the first stays away."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from dataclasses import dataclass

from avemo_harness.human.study import Session, Showing, Study


@dataclass(frozen=True, slots=True)
class Place:
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


def sessions_of(tables: sqlite3.Connection, study: Study) -> dict[int, Session]:
    """The sessions of a plan, and behind them those that were added since, by number."""
    sessions = dict(enumerate(study.sessions))
    for row in tables.execute("SELECT number, copy_of FROM extra_sessions ORDER BY number"):
        sessions[row["number"]] = study.sessions[row["copy_of"]]
    return sessions


class Seats:
    """The sessions of a study and who holds them. Every method runs inside the caller's transaction.

    Args:
        secret: keeps the names of showings from being guessed.
    """

    def __init__(self, study: Study, secret: bytes) -> None:
        self._study = study
        self._secret = secret

    def take(self, tables: sqlite3.Connection, rater: int, now: float) -> int | None:
        """Give a rater the first session that nobody holds, else one whose holder gave no sign for a lease's time.

        Returns:
            The session; None where every place is taken.
        """
        held = {int(row["session"]): row for row in tables.execute("SELECT session, rater, seen, stage FROM holders")}
        free = [number for number in sessions_of(tables, self._study) if number not in held]
        overdue = now - 60 * self._study.lease_minutes
        left = sorted(
            (row["seen"], number) for number, row in held.items() if row["stage"] != "done" and row["seen"] < overdue
        )
        for session in [*free, *(number for _, number in left)]:
            if self._to_rate(tables, session, rater):
                if session in held:
                    self._move_out(tables, session)
                tables.execute("INSERT INTO seats VALUES (?, ?)", (session, rater))
                return session
        return None

    def release(self, tables: sqlite3.Connection, rater: int) -> None:
        """Free a rater's session for somebody else."""
        tables.execute("DELETE FROM seats WHERE rater = ?", (rater,))

    def next_place(self, tables: sqlite3.Connection, rater: int) -> Place | None:
        """What a rater rates next; None where nothing is left."""
        session = self.session_of(tables, rater)
        if session is None:
            return None
        positions = self._to_rate(tables, session, rater)
        if not positions:
            return None
        (done,) = tables.execute(
            "SELECT COUNT(*) FROM ratings WHERE session = ? AND rater = ?", (session, rater)
        ).fetchone()
        content = sessions_of(tables, self._study)[session]
        showing = content.showings[positions[0]]
        return Place(session, content, positions[0], showing, done + 1, done + len(positions))

    def session_of(self, tables: sqlite3.Connection, rater: int) -> int | None:
        """The session that a rater holds."""
        row = tables.execute("SELECT session FROM seats WHERE rater = ?", (rater,)).fetchone()
        return None if row is None else int(row["session"])

    def showing_id(self, rater: int, *where: int | str) -> str:
        """How a place is named to one rater: 32 hex digits that tell nobody anything."""
        text = "/".join(map(str, (rater, *where)))
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()[:32]

    def _to_rate(self, tables: sqlite3.Connection, session: int, rater: int) -> list[int]:
        """Positions without a rating, but for repeats of what another rater rated: they would not be repeats."""
        by = {
            row["position"]: row["rater"]
            for row in tables.execute("SELECT position, rater FROM ratings WHERE session = ?", (session,))
        }
        showings = sessions_of(tables, self._study)[session].showings
        first = {showing.item: position for position, showing in enumerate(showings) if not showing.repeat}
        return [
            position
            for position, showing in enumerate(showings)
            if position not in by and not (showing.repeat and by.get(first[showing.item], rater) != rater)
        ]

    def _move_out(self, tables: sqlite3.Connection, session: int) -> None:
        tables.execute(
            "UPDATE raters SET stage = 'lapsed' WHERE number = (SELECT rater FROM seats WHERE session = ?)", (session,)
        )
        tables.execute("DELETE FROM seats WHERE session = ?", (session,))
