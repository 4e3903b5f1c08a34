"""More sessions and invitations for a study that runs already, where items would end with too few raters.

Raters are left out by the plan's rules, and leave out what does not work; the plan itself stays as it is.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.errors import StorageError
from avemo_harness.human.analysis import raters_of_items
from avemo_harness.human.collected import CollectedRating, read_collection
from avemo_harness.human.exclusions import exclusions
from avemo_harness.human.planning import INVITATIONS, SPARE_INVITATIONS, token_digest
from avemo_harness.human.privacy import write_privately
from avemo_harness.human.ratings_file import RatingsFile
from avemo_harness.human.seats import sessions_of
from avemo_harness.human.study import Session, Study


@dataclass(frozen=True, slots=True)
class Extension:
    """What was added to a study.

    Args:
        lacking: rated items that would have ended with too few raters.
    """

    lacking: int
    sessions: int
    invitations: int


def extend_study(folder: Path, study: Study, invitations: int | None) -> Extension:
    """Add the sessions that give every item its raters again, and invitations; the server may be running.

    Args:
        invitations: None takes two for each added session.

    Raises:
        UsageError: nothing was collected yet.
        StoreError: `ratings.sqlite` or `invitations.txt` cannot be read or written.
    """
    collected = read_collection(folder, study).ratings
    ratings = [one for one in collected if one.scales == study.scales_version]
    file = RatingsFile(folder, study.digest())
    try:
        with file.transaction() as tables:
            lacking = lacking_raters(study, ratings, _open_items(tables, study))
            copies = covering_sessions(study.sessions, lacking)
            first = len(sessions_of(tables, study))
            tables.executemany("INSERT INTO extra_sessions VALUES (?, ?)", enumerate(copies, first))
            wanted = round(SPARE_INVITATIONS * len(copies)) if invitations is None else invitations
            tokens = [secrets.token_hex(16) for _ in range(wanted)]
            (added,) = tables.execute("SELECT COUNT(*) FROM extra_invitations").fetchone()
            rows = (
                (token_digest(token), number) for number, token in enumerate(tokens, len(study.invitations) + added)
            )
            tables.executemany("INSERT INTO extra_invitations VALUES (?, ?)", rows)
            if tokens:
                _append(folder / INVITATIONS, tokens)
    finally:
        file.close()
    return Extension(len(lacking), len(copies), len(tokens))


def lacking_raters(study: Study, ratings: Sequence[CollectedRating], still_open: Mapping[str, int]) -> dict[str, int]:
    """How many raters each rated item will lack, of those that will lack some.

    Args:
        still_open: places in sessions that wait for a rating, by item.
    """
    excluded = exclusions(ratings, study.rules)
    have = raters_of_items(study, (one for one in ratings if one.rater not in excluded))
    missing = {item: study.raters_an_item - number - still_open.get(item, 0) for item, number in have.items()}
    return {item: number for item, number in missing.items() if number > 0}


def covering_sessions(sessions: Iterable[Session], lacking: Mapping[str, int]) -> list[int]:
    """Numbers of sessions that, held once more, give every item what it lacks; the one that gives most comes first."""
    gives = [{one.item for one in session.showings if not one.repeat} for session in sessions]
    left = Counter(lacking)
    chosen: list[int] = []
    while +left:
        best = max(range(len(gives)), key=lambda number: (sum(left[item] > 0 for item in gives[number]), -number))
        left.subtract(gives[best])
        chosen.append(best)
    return chosen


def _open_items(tables: sqlite3.Connection, study: Study) -> Counter[str]:
    """Places that wait for a first rating, by item."""
    rated = {(row["session"], row["position"]) for row in tables.execute("SELECT session, position FROM ratings")}
    return Counter(
        showing.item
        for number, session in sessions_of(tables, study).items()
        for position, showing in enumerate(session.showings)
        if not showing.repeat and (number, position) not in rated
    )


def _append(path: Path, tokens: Iterable[str]) -> None:
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
    except OSError as error:
        raise StorageError(path, "read", error) from error
    write_privately(path, before + "".join(f"{token}\n" for token in tokens))
