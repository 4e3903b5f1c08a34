"""Take raters through a study: which screen comes next, and what a request of theirs changes."""

from __future__ import annotations

import math
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
    ConsentScreen,
    DeviceScreen,
    EndScreen,
    Feedback,
    InstructionsScreen,
    ItemScreen,
    Screen,
    feedback_on,
    media_of,
    passes_training,
    playback_segments,
)
from avemo_harness.human.sessions import RATING_S, PendingItem, SeatAllocator, longest_session_s
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
    """Body of `/api/rate`: ratings of one item.

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
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._file.close()

    def join(self, token: str) -> str:
        """Let a rater in who has an invitation; returns a new cookie, of which only the digest is kept."""
        cookie = secrets.token_hex(16)
        with self._transaction() as db:
            number = self._invited(db, token_digest(token))
            if number is None:
                raise RefusedError(403, "This is no invitation to the study. Check that the whole link was copied.")
            now = self._clock()
            db.execute("INSERT OR IGNORE INTO raters (number, stage, seen) VALUES (?, 'consent', ?)", (number, now))
            db.execute("INSERT INTO cookies VALUES (?, ?)", (token_digest(cookie), number))
            self._note(db, number, "joined")
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
        """The rater's current screen."""
        with self._transaction() as db:
            self._touch(db, rater)
            return self._current_screen(db, rater)

    def may_play(self, rater: int, media: str) -> bool:
        """True for a file of the rater's current screen."""
        return media in media_of(self.screen(rater))

    def consent(self, rater: int) -> Screen:
        """The rater agrees, and gets a place where there is one; else it is worth coming back."""
        with self._step(rater, "consent") as db:
            if self._seats.take(db, rater, self._clock()) is None:
                self._note(db, rater, "no place")
                return EndScreen("full")
            self._set_stage(db, rater, "device" if self._study.device_checks else "instructions")
            return self._current_screen(db, rater)

    def check_device(self, rater: int, named: DeviceCheck) -> Screen:
        """The rater names what was seen and heard; after as many failures as there are clips it is over.

        An answer to another clip than the one on the screen was sent twice, and changes nothing.
        """
        with self._step(rater, "device") as db:
            attempt = self._rater(db, rater)["device_attempts"]
            check = self._study.device_checks[attempt]
            if named == check:
                self._set_stage(db, rater, "instructions")
            elif named.media == check.media:
                db.execute("UPDATE raters SET device_attempts = device_attempts + 1 WHERE number = ?", (rater,))
                self._note(db, rater, "device check failed", f"{named.digit} {named.beeps}")
                if attempt + 1 == len(self._study.device_checks):
                    self._leave(db, rater, "unfit")
            return self._current_screen(db, rater)

    def ready(self, rater: int) -> Screen:
        """The rater has read the instructions."""
        with self._step(rater, "instructions") as db:
            self._set_stage(db, rater, "training" if self._study.training else "rating")
            return self._current_screen(db, rater)

    def begin(self, rater: int, showing: str) -> Screen:
        """The rater begins to play an item; the time runs from the first such call."""
        with self._step(rater, "training", "rating") as db:
            screen = self._item_on_screen(db, rater, showing)
            db.execute("INSERT OR IGNORE INTO begun VALUES (?, ?, ?)", (rater, screen.showing, self._clock()))
            return self._current_screen(db, rater)

    def rate(self, rater: int, rating: Rating) -> tuple[Screen, list[Feedback]]:
        """Take a rating; the same one again changes nothing. Training items are answered with feedback."""
        with self._step(rater, "training", "rating", "done", "failed", "lapsed") as db:
            earlier = self._earlier(db, rater, rating.showing)
            if earlier is not None:
                if rating.ratings is not None and any(earlier[name] != rating.ratings[name] for name in SCALE_NAMES):
                    raise RefusedError(409, "This reply is rated already; the first rating counts.")
                return self._current_screen(db, rater), []
            screen = self._item_on_screen(db, rater, rating.showing)
            if rating.ratings is None and not (rating.problem or "").strip():
                raise RefusedError(400, "Rate the reply on every scale, or say what does not work.")
            seconds = self._seconds_since_begin(db, rater, screen, rating)
            if screen.part == "rating":
                self._store(db, rater, rating, seconds)
                return self._current_screen(db, rater), []
            feedback = self._store_training(db, rater, rating, screen.number - 1)
            return self._current_screen(db, rater), feedback

    def _store(self, db: sqlite3.Connection, rater: int, rating: Rating, seconds: float) -> None:
        pending = self._seats.next_item(db, rater)
        assert pending is not None  # the screen shows it
        db.execute(
            "INSERT INTO ratings (session, position, rater, item, repeat, er, en, rr, problem, seconds, plays, scales)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(pending.session, pending.position, rater, pending.showing.item, pending.showing.repeat),
                *_values(rating),
                *(rating.problem, seconds, rating.plays, self._study.scales_version),
            ),
        )
        if self._seats.next_item(db, rater) is None:
            self._set_stage(db, rater, "done")
            db.execute("UPDATE raters SET code = ? WHERE number = ?", (secrets.token_hex(4).upper(), rater))

    def _store_training(self, db: sqlite3.Connection, rater: int, rating: Rating, position: int) -> list[Feedback]:
        attempt = int(self._rater(db, rater)["training_try"])
        db.execute(
            "INSERT INTO training (rater, try, position, er, en, rr, scales) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (rater, attempt, position, *_values(rating), self._study.scales_version),
        )
        if position + 1 == len(self._study.training):
            rows = db.execute(
                "SELECT er, en, rr FROM training WHERE rater = ? AND try = ? ORDER BY position", (rater, attempt)
            )
            if passes_training([self._items[one] for one in self._study.training], [dict(row) for row in rows]):
                self._set_stage(db, rater, "rating")
            elif attempt + 1 < TRIES:
                db.execute("UPDATE raters SET training_try = ? WHERE number = ?", (attempt + 1, rater))
                self._note(db, rater, "training failed")
            else:
                self._leave(db, rater, "failed")
        return feedback_on(self._study, self._items[self._study.training[position]], rating.ratings or {})

    def _seconds_since_begin(self, db: sqlite3.Connection, rater: int, screen: ItemScreen, rating: Rating) -> float:
        """Seconds since the item began to play; refuses ratings of what cannot have been played to the end."""
        row = db.execute("SELECT at FROM begun WHERE rater = ? AND showing = ?", (rater, screen.showing)).fetchone()
        since = 0.0 if row is None else self._clock() - float(row["at"])
        least = PLAYED_SHARE * sum(segment.seconds for segment in screen.segments)
        if rating.ratings is not None and (row is None or since < least):
            raise RefusedError(400, "Play everything to the end before you rate it.")
        return round(since, 3)

    def _item_on_screen(self, db: sqlite3.Connection, rater: int, showing: str) -> ItemScreen:
        screen = self._current_screen(db, rater)
        if not isinstance(screen, ItemScreen) or screen.showing != showing:
            raise RefusedError(409, "That reply is not the one to rate now; here is what comes next.")
        return screen

    def _earlier(self, db: sqlite3.Connection, rater: int, showing: str) -> sqlite3.Row | None:
        """A rating or training rating that is stored for a showing."""
        row: sqlite3.Row
        for row in db.execute("SELECT * FROM ratings WHERE rater = ?", (rater,)):
            if self._seats.showing_id(rater, row["session"], row["position"]) == showing:
                return row
        for row in db.execute("SELECT * FROM training WHERE rater = ?", (rater,)):
            if self._seats.showing_id(rater, "training", row["try"], row["position"]) == showing:
                return row
        return None

    def _invited(self, db: sqlite3.Connection, digest: str) -> int | None:
        """The number of the rater whom an invitation is for."""
        if digest in self._study.invitations:
            return self._study.invitations.index(digest)
        row = db.execute("SELECT number FROM extra_invitations WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else int(row["number"])

    def _current_screen(self, db: sqlite3.Connection, rater: int) -> Screen:
        known = self._rater(db, rater)
        stage = known["stage"]
        if stage == "consent":
            return ConsentScreen(self._study.title, self._study.consent, self._minutes())
        if stage == "device":
            attempt = known["device_attempts"]
            checks = self._study.device_checks
            return DeviceScreen(checks[attempt].media, len(checks) - attempt)
        if stage == "instructions":
            pending = self._seats.next_item(db, rater)
            session = pending.content if pending else self._study.sessions[0]
            of = pending.of if pending else 0
            return InstructionsScreen(self._study.scales, len(self._study.training), of, len(session.blocks))
        if stage == "training":
            return self._training_screen(db, rater, known["training_try"])
        if stage == "rating":
            pending = self._seats.next_item(db, rater)
            assert pending is not None  # a rater with nothing left is done
            return self._rating_screen(db, rater, pending)
        return EndScreen(stage, known["code"])

    def _training_screen(self, db: sqlite3.Connection, rater: int, attempt: int) -> ItemScreen:
        (position,) = db.execute(
            "SELECT COUNT(*) FROM training WHERE rater = ? AND try = ?", (rater, attempt)
        ).fetchone()
        showing = self._seats.showing_id(rater, "training", attempt, position)
        item = self._study.training[position]
        lesson = self._study.lessons.get(item)
        return ItemScreen(
            showing=showing,
            part="training",
            segments=playback_segments(self._items[item], lesson.words if lesson else ()),
            scales=self._study.scales,
            number=position + 1,
            of=len(self._study.training),
            again=attempt > 0,
            begun=_has_begun(db, rater, showing),
        )

    def _rating_screen(self, db: sqlite3.Connection, rater: int, pending: PendingItem) -> ItemScreen:
        session = pending.content
        block = session.block_of(pending.position)
        showing = self._seats.showing_id(rater, pending.session, pending.position)
        begins = pending.number > 1 and pending.position > 0 and session.block_of(pending.position - 1) < block
        return ItemScreen(
            showing=showing,
            part="rating",
            segments=playback_segments(self._items[pending.showing.item]),
            scales=self._study.scales,
            number=pending.number,
            of=pending.of,
            block=block + 1,
            blocks=len(session.blocks),
            pause=begins,
            begun=_has_begun(db, rater, showing),
        )

    def _minutes(self) -> int:
        items = [self._items[one] for one in self._study.training]
        training = sum(item.seconds + RATING_S for item in items)
        return max(5, 5 * math.ceil((longest_session_s(self._study) + training) / 300))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._file.transaction() as db:
            yield db

    @contextmanager
    def _step(self, rater: int, *stages: str) -> Iterator[sqlite3.Connection]:
        """A step that a rater may take only at some stages."""
        try:
            with self._transaction() as db:
                self._touch(db, rater)
                if self._rater(db, rater)["stage"] not in stages:
                    raise RefusedError(409, "That was done already; here is what comes next.")
                yield db
        except RefusedError as refusal:
            with self._transaction() as db:
                self._note(db, rater, "refused", str(refusal))
            raise

    def _rater(self, db: sqlite3.Connection, rater: int) -> sqlite3.Row:
        row: sqlite3.Row = db.execute("SELECT * FROM raters WHERE number = ?", (rater,)).fetchone()
        return row

    def _touch(self, db: sqlite3.Connection, rater: int) -> None:
        now = self._clock()
        db.execute("UPDATE raters SET seen = ? WHERE number = ? AND seen < ?", (now, rater, now - _SEEN_EVERY_S))

    def _set_stage(self, db: sqlite3.Connection, rater: int, stage: str) -> None:
        db.execute("UPDATE raters SET stage = ? WHERE number = ?", (stage, rater))
        self._note(db, rater, "stage", stage)

    def _leave(self, db: sqlite3.Connection, rater: int, stage: str) -> None:
        self._seats.release(db, rater)
        self._set_stage(db, rater, stage)

    def _note(self, db: sqlite3.Connection, rater: int, what: str, detail: str = "") -> None:
        db.execute(
            "INSERT INTO audit (at, rater, what, detail) VALUES (?, ?, ?, ?)", (self._clock(), rater, what, detail)
        )


def _values(rating: Rating) -> tuple[int | None, ...]:
    return tuple(None if rating.ratings is None else rating.ratings[name] for name in SCALE_NAMES)


def _has_begun(db: sqlite3.Connection, rater: int, showing: str) -> bool:
    query = "SELECT 1 FROM begun WHERE rater = ? AND showing = ?"
    return db.execute(query, (rater, showing)).fetchone() is not None
