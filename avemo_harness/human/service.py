"""Take raters through a study: which screen comes next, and what a request of theirs changes."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.errors import UsageError
from avemo_harness.human.plan import token_digest
from avemo_harness.human.ratings import RatingsFile
from avemo_harness.human.screens import (
    TRIES,
    EndScreen,
    Feedback,
    ItemScreen,
    Screen,
    ScreenBuilder,
    feedback_on,
    media_of,
    passed,
)
from avemo_harness.human.sessions import SeatAllocator
from avemo_harness.human.study import SCALE_NAMES, DeviceCheck, Study


class RefusedError(UsageError):
    """A request that is answered with an HTTP status and a sentence; nothing is changed by it.

    Args:
        status: 400 to 499.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


PLAYED_SHARE = 0.9
"""Of an item's length that must go by before its rating is taken: files end a little before their header says."""
_SEEN_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Rating:
    """What a rater says of an item.

    Args:
        showing: as the item's screen names it.
        ratings: by scale, from 1 to 5; None where the item could not be rated.
        plays: how often it was played.
        problem: what did not work.
    """

    showing: str
    ratings: Mapping[str, int] | None
    plays: int = 1
    problem: str | None = None


class StudyService:
    """One study that raters take part in. Methods may be called from several threads.

    Args:
        folder: the study's, for `ratings.sqlite`.
        clock: seconds since 1970.

    Raises:
        StoreError: `ratings.sqlite` cannot be opened, or belongs to another plan.
    """

    def __init__(self, folder: Path, study: Study, clock: Callable[[], float]) -> None:
        self._study = study
        self._items = study.by_id()
        self._clock = clock
        self._file = RatingsFile(folder, study.digest())
        self._seats = SeatAllocator(study, self._file.secret)
        self._stages = ScreenBuilder(study, self._seats)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._file.close()

    def join(self, token: str) -> str:
        """Let a rater in who has an invitation; returns a new cookie, of which only the digest is kept."""
        cookie = secrets.token_hex(16)
        with self._tables() as tables:
            number = self._invited(tables, token_digest(token))
            if number is None:
                raise RefusedError(403, "This is no invitation to the study. Check that the whole link was copied.")
            now = self._clock()
            tables.execute("INSERT OR IGNORE INTO raters (number, stage, seen) VALUES (?, 'consent', ?)", (number, now))
            tables.execute("INSERT INTO cookies VALUES (?, ?)", (token_digest(cookie), number))
            self._note(tables, number, "joined")
        return cookie

    def rater_of(self, cookie: str | None) -> int:
        """The number of the rater whose cookie it is."""
        with self._lock:
            row = self._file.connection.execute(
                "SELECT rater FROM cookies WHERE digest = ?", (token_digest(cookie or ""),)
            ).fetchone()
        if row is None:
            raise RefusedError(401, "Open the link of your invitation to take part.")
        return int(row["rater"])

    def screen(self, rater: int) -> Screen:
        """What a rater sees now."""
        with self._tables() as tables:
            self._sign_of_life(tables, rater)
            return self._stages.screen(tables, rater)

    def may_play(self, rater: int, media: str) -> bool:
        """Whether a file belongs to what the rater sees now."""
        return media in media_of(self.screen(rater))

    def consent(self, rater: int) -> Screen:
        """The rater agrees, and gets a place where there is one; else it is worth coming back."""
        with self._step(rater, "consent") as tables:
            if self._seats.take(tables, rater, self._clock()) is None:
                self._note(tables, rater, "no place")
                return EndScreen("full")
            self._set_stage(tables, rater, "device" if self._study.device_checks else "instructions")
            return self._stages.screen(tables, rater)

    def check_device(self, rater: int, named: DeviceCheck) -> Screen:
        """The rater names what was seen and heard; after as many failures as there are clips it is over.

        An answer to another clip than the one on the screen was sent twice, and changes nothing.
        """
        with self._step(rater, "device") as tables:
            attempt = self._rater(tables, rater)["device_attempts"]
            check = self._study.device_checks[attempt]
            if named == check:
                self._set_stage(tables, rater, "instructions")
            elif named.media == check.media:
                tables.execute("UPDATE raters SET device_attempts = device_attempts + 1 WHERE number = ?", (rater,))
                self._note(tables, rater, "device check failed", f"{named.digit} {named.beeps}")
                if attempt + 1 == len(self._study.device_checks):
                    self._leave(tables, rater, "unfit")
            return self._stages.screen(tables, rater)

    def ready(self, rater: int) -> Screen:
        """The rater has read the instructions."""
        with self._step(rater, "instructions") as tables:
            self._set_stage(tables, rater, "training" if self._study.training else "rating")
            return self._stages.screen(tables, rater)

    def begin(self, rater: int, showing: str) -> Screen:
        """The rater begins to play an item; the time runs from the first such call."""
        with self._step(rater, "training", "rating") as tables:
            screen = self._item_on_screen(tables, rater, showing)
            tables.execute("INSERT OR IGNORE INTO begun VALUES (?, ?, ?)", (rater, screen.showing, self._clock()))
            return self._stages.screen(tables, rater)

    def rate(self, rater: int, rating: Rating) -> tuple[Screen, list[Feedback]]:
        """Take a rating; the same one again changes nothing. Training items are answered with feedback."""
        with self._step(rater, "training", "rating", "done", "failed", "lapsed") as tables:
            earlier = self._earlier(tables, rater, rating.showing)
            if earlier is not None:
                if rating.ratings is not None and any(earlier[name] != rating.ratings[name] for name in SCALE_NAMES):
                    raise RefusedError(409, "This reply is rated already; the first rating counts.")
                return self._stages.screen(tables, rater), []
            screen = self._item_on_screen(tables, rater, rating.showing)
            if rating.ratings is None and not (rating.problem or "").strip():
                raise RefusedError(400, "Rate the reply on every scale, or say what does not work.")
            seconds = self._seconds_since_begin(tables, rater, screen, rating)
            if screen.part == "rating":
                self._store(tables, rater, rating, seconds)
                return self._stages.screen(tables, rater), []
            feedback = self._store_training(tables, rater, rating, screen.number - 1)
            return self._stages.screen(tables, rater), feedback

    def _store(self, tables: sqlite3.Connection, rater: int, rating: Rating, seconds: float) -> None:
        place = self._seats.next_place(tables, rater)
        assert place is not None  # the screen shows it
        tables.execute(
            "INSERT INTO ratings (session, position, rater, item, repeat, er, en, rr, problem, seconds, plays, scales)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(place.session, place.position, rater, place.showing.item, place.showing.repeat),
                *_values(rating),
                *(rating.problem, seconds, rating.plays, self._study.scales_version),
            ),
        )
        if self._seats.next_place(tables, rater) is None:
            self._set_stage(tables, rater, "done")
            tables.execute("UPDATE raters SET code = ? WHERE number = ?", (secrets.token_hex(4).upper(), rater))

    def _store_training(self, tables: sqlite3.Connection, rater: int, rating: Rating, position: int) -> list[Feedback]:
        turn = int(self._rater(tables, rater)["training_try"])
        tables.execute(
            "INSERT INTO training (rater, try, position, er, en, rr, scales) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (rater, turn, position, *_values(rating), self._study.scales_version),
        )
        if position + 1 == len(self._study.training):
            rows = tables.execute(
                "SELECT er, en, rr FROM training WHERE rater = ? AND try = ? ORDER BY position", (rater, turn)
            )
            if passed([self._items[one] for one in self._study.training], [dict(row) for row in rows]):
                self._set_stage(tables, rater, "rating")
            elif turn + 1 < TRIES:
                tables.execute("UPDATE raters SET training_try = ? WHERE number = ?", (turn + 1, rater))
                self._note(tables, rater, "training failed")
            else:
                self._leave(tables, rater, "failed")
        return feedback_on(self._study, self._items[self._study.training[position]], rating.ratings or {})

    def _seconds_since_begin(self, tables: sqlite3.Connection, rater: int, screen: ItemScreen, rating: Rating) -> float:
        """Seconds since the item began to play; refuses ratings of what cannot have been played to the end."""
        row = tables.execute("SELECT at FROM begun WHERE rater = ? AND showing = ?", (rater, screen.showing)).fetchone()
        since = 0.0 if row is None else self._clock() - float(row["at"])
        least = PLAYED_SHARE * sum(segment.seconds for segment in screen.segments)
        if rating.ratings is not None and (row is None or since < least):
            raise RefusedError(400, "Play everything to the end before you rate it.")
        return round(since, 3)

    def _item_on_screen(self, tables: sqlite3.Connection, rater: int, showing: str) -> ItemScreen:
        screen = self._stages.screen(tables, rater)
        if not isinstance(screen, ItemScreen) or screen.showing != showing:
            raise RefusedError(409, "That reply is not the one to rate now; here is what comes next.")
        return screen

    def _earlier(self, tables: sqlite3.Connection, rater: int, showing: str) -> sqlite3.Row | None:
        """What the rater has already said of a showing."""
        row: sqlite3.Row
        for row in tables.execute("SELECT * FROM ratings WHERE rater = ?", (rater,)):
            if self._seats.showing_id(rater, row["session"], row["position"]) == showing:
                return row
        for row in tables.execute("SELECT * FROM training WHERE rater = ?", (rater,)):
            if self._seats.showing_id(rater, "training", row["try"], row["position"]) == showing:
                return row
        return None

    def _invited(self, tables: sqlite3.Connection, digest: str) -> int | None:
        """The number of the rater whom an invitation is for."""
        if digest in self._study.invitations:
            return self._study.invitations.index(digest)
        row = tables.execute("SELECT number FROM extra_invitations WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else int(row["number"])

    @contextmanager
    def _tables(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._file.transaction() as tables:
            yield tables

    @contextmanager
    def _step(self, rater: int, *stages: str) -> Iterator[sqlite3.Connection]:
        """A step that a rater may take only at some stages."""
        try:
            with self._tables() as tables:
                self._sign_of_life(tables, rater)
                if self._rater(tables, rater)["stage"] not in stages:
                    raise RefusedError(409, "That was done already; here is what comes next.")
                yield tables
        except RefusedError as refusal:
            with self._tables() as tables:
                self._note(tables, rater, "refused", str(refusal))
            raise

    def _rater(self, tables: sqlite3.Connection, rater: int) -> sqlite3.Row:
        row: sqlite3.Row = tables.execute("SELECT * FROM raters WHERE number = ?", (rater,)).fetchone()
        return row

    def _sign_of_life(self, tables: sqlite3.Connection, rater: int) -> None:
        now = self._clock()
        tables.execute("UPDATE raters SET seen = ? WHERE number = ? AND seen < ?", (now, rater, now - _SEEN_EVERY_S))

    def _set_stage(self, tables: sqlite3.Connection, rater: int, stage: str) -> None:
        tables.execute("UPDATE raters SET stage = ? WHERE number = ?", (stage, rater))
        self._note(tables, rater, "stage", stage)

    def _leave(self, tables: sqlite3.Connection, rater: int, stage: str) -> None:
        self._seats.release(tables, rater)
        self._set_stage(tables, rater, stage)

    def _note(self, tables: sqlite3.Connection, rater: int, what: str, detail: str = "") -> None:
        tables.execute(
            "INSERT INTO audit (at, rater, what, detail) VALUES (?, ?, ?, ?)", (self._clock(), rater, what, detail)
        )


def _values(rating: Rating) -> tuple[int | None, ...]:
    return tuple(None if rating.ratings is None else rating.ratings[name] for name in SCALE_NAMES)
