"""`ratings.sqlite`: what raters did, durable once acknowledged, and the ratings read back from it."""

from __future__ import annotations

import errno
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.errors import StorageError, StoreError, UsageError
from avemo_harness.human.study import SCALE_NAMES, SCALES_VERSION, Study, StudyItem
from avemo_harness.report.scored_run import FIRST_SCALES

RATINGS = "ratings.sqlite"
_REFUSALS = {
    "readonly": errno.EROFS,
    "disk is full": errno.ENOSPC,
    "disk I/O": errno.EIO,
    "unable to open": errno.EACCES,
}
"""Errors of the system by the words in which SQLite tells of them."""
_IMPORTED = """
CREATE TABLE IF NOT EXISTS imported (
    rater TEXT NOT NULL, item TEXT NOT NULL, repeat INTEGER NOT NULL,
    er INTEGER, en INTEGER, rr INTEGER, seconds REAL, scales TEXT NOT NULL, PRIMARY KEY (rater, item, repeat, scales)
)
"""
_SCHEMA = f"""
{_IMPORTED};
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS raters (
    number INTEGER PRIMARY KEY,
    stage TEXT NOT NULL,
    device_attempts INTEGER NOT NULL DEFAULT 0,
    training_try INTEGER NOT NULL DEFAULT 0,
    seen REAL NOT NULL,
    code TEXT
);
CREATE TABLE IF NOT EXISTS cookies (digest TEXT PRIMARY KEY, rater INTEGER NOT NULL REFERENCES raters);
CREATE TABLE IF NOT EXISTS seats (session INTEGER PRIMARY KEY, rater INTEGER NOT NULL UNIQUE REFERENCES raters);
CREATE VIEW IF NOT EXISTS holders AS
    SELECT seats.session, raters.number AS rater, raters.seen, raters.stage
    FROM seats JOIN raters ON raters.number = seats.rater;
CREATE TABLE IF NOT EXISTS begun (
    rater INTEGER NOT NULL REFERENCES raters, showing TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (rater, showing)
);
CREATE TABLE IF NOT EXISTS training (
    rater INTEGER NOT NULL REFERENCES raters, try INTEGER NOT NULL, position INTEGER NOT NULL,
    er INTEGER, en INTEGER, rr INTEGER, scales TEXT NOT NULL, PRIMARY KEY (rater, try, position)
);
CREATE TABLE IF NOT EXISTS ratings (
    session INTEGER NOT NULL, position INTEGER NOT NULL, rater INTEGER NOT NULL REFERENCES raters,
    item TEXT NOT NULL, repeat INTEGER NOT NULL, er INTEGER, en INTEGER, rr INTEGER,
    problem TEXT, seconds REAL NOT NULL, plays INTEGER NOT NULL, scales TEXT NOT NULL, PRIMARY KEY (session, position)
);
CREATE TABLE IF NOT EXISTS extra_sessions (number INTEGER PRIMARY KEY, copy_of INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS extra_invitations (digest TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, rater INTEGER, what TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_remains BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END;
"""


class RatingsFile:
    """The database of one study. One caller at a time; several processes may have it open.

    Args:
        folder: the study's.
        plan: the digest of its plan (`Study.digest`).

    Raises:
        StoreError: the file is damaged, cannot be written, or belongs to another plan.
    """

    def __init__(self, folder: Path, plan: str) -> None:
        self.path = folder / RATINGS
        try:
            # Written before SQLite opens it, so that nobody else can read it at any moment.
            self.path.touch(mode=0o600, exist_ok=True)
            self.connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            self.connection.row_factory = sqlite3.Row
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=FULL")
            self.connection.execute("PRAGMA foreign_keys=ON")
            with self.transaction() as db:
                _name_scales(db)
            self.connection.executescript(_SCHEMA)
            with self.transaction():
                known = self._setting("plan", plan)
                self.secret = bytes.fromhex(self._setting("secret", secrets.token_hex(32)))
        except OSError as error:
            raise StorageError(self.path, "opened", error) from error
        except sqlite3.Error as error:
            _raise_storage_error(self.path, error)
            raise StoreError(
                f"{self.path}: cannot be opened ({error}); restore it from a copy, or free the disk and try again"
            ) from error
        if known != plan:
            raise StoreError(f"{self.path}: belongs to another plan than {folder / 'plan.json'}; restore that plan")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything in the block happens or nothing does; what happened is on the disk when the block ends.

        Raises:
            StoreError: the disk is full or the file is damaged.
        """
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                _raise_storage_error(self.path, error)
                raise StoreError(f"{self.path}: cannot be written ({error}); make room and try again") from error
            raise

    def close(self) -> None:
        self.connection.close()

    def _setting(self, name: str, default: str) -> str:
        self.connection.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, default))
        row = self.connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(row["value"])


def _raise_storage_error(path: Path, error: sqlite3.Error) -> None:
    """Raise a StorageError where SQLite only passes an error of the system on, which it does in words alone."""
    for words, code in _REFUSALS.items():
        if words in str(error):
            raise StorageError(path, "written", OSError(code, str(error))) from error


def _name_scales(db: sqlite3.Connection) -> None:
    """Name the scales in a file from before they had versions: everything in it was rated on the first."""
    before = [
        name
        for name in ("ratings", "training", "imported")
        if (columns := {row["name"] for row in db.execute(f"PRAGMA table_info({name})")}) and "scales" not in columns
    ]
    for name in before:
        db.execute(f"ALTER TABLE {name} ADD COLUMN scales TEXT NOT NULL DEFAULT '{FIRST_SCALES}'")
    if "imported" in before:  # A rater may rate an item on several wordings, and a key cannot be changed in place.
        db.execute("ALTER TABLE imported RENAME TO imported_before")
        db.execute(_IMPORTED)
        db.execute("INSERT INTO imported SELECT * FROM imported_before")
        db.execute("DROP TABLE imported_before")


@dataclass(frozen=True, slots=True)
class CollectedRating:
    """One rater's ratings of one item.

    Args:
        rater: a name that says nothing of the person.
        repeat: the rater had rated the item before.
        ratings: by scale; a scale that was not rated is missing.
        seconds: from the start of playing to the rating, where known.
        problem: what did not work, in the rater's words.
        scales: the name of the wording that it was rated on.
    """

    rater: str
    item: StudyItem
    repeat: bool
    ratings: Mapping[str, int]
    seconds: float | None = None
    problem: str | None = None
    scales: str = SCALES_VERSION


@dataclass(frozen=True, slots=True)
class Collection:
    """Ratings of a study so far, and the stage and code of each rater of its own pages, by name."""

    ratings: tuple[CollectedRating, ...]
    raters: Mapping[str, tuple[str, str | None]]


def read_collection(folder: Path, study: Study) -> Collection:
    """Read what a study has collected so far; its server may be running.

    Raises:
        UsageError: nothing was collected yet.
        StoreError: `ratings.sqlite` is damaged or belongs to another plan.
    """
    if not (folder / RATINGS).exists():
        raise UsageError(
            f"{folder}: has no ratings yet; avemo-eval human serve {folder}, or avemo-eval human import {folder} FILE"
        )
    items = study.by_id()
    with closing(RatingsFile(folder, study.digest())) as file, file.transaction() as db:
        raters = db.execute("SELECT * FROM raters ORDER BY number").fetchall()
        own = db.execute("SELECT * FROM ratings ORDER BY rater, session, position").fetchall()
        imported = db.execute("SELECT * FROM imported ORDER BY rater, item, repeat, scales").fetchall()
    return Collection(
        (
            *(_collected(row, _name(row["rater"]), items) for row in own),
            *(_collected(row, row["rater"], items) for row in imported),
        ),
        {_name(row["number"]): (row["stage"], row["code"]) for row in raters},
    )


def _collected(row: sqlite3.Row, rater: str, items: Mapping[str, StudyItem]) -> CollectedRating:
    return CollectedRating(
        rater=rater,
        item=items[row["item"]],
        repeat=bool(row["repeat"]),
        ratings={name: row[name] for name in SCALE_NAMES if row[name] is not None},
        seconds=row["seconds"],
        problem=row["problem"] if "problem" in row.keys() else None,  # noqa: SIM118  (a row has no `in` of names)
        scales=row["scales"],
    )


def _name(number: int) -> str:
    return f"rater{number + 1:03}"
