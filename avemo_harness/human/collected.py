"""All ratings of a study, whoever collected them: those of its own pages, and those taken in from other tools."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.errors import UsageError
from avemo_harness.human.ratings_file import RATINGS, RatingsFile
from avemo_harness.human.scales import SCALE_NAMES, SCALES_VERSION
from avemo_harness.human.study import Study, StudyItem


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
class RaterRecord:
    """How far a rater of the study's own pages has come."""

    rater: str
    stage: str
    code: str | None


@dataclass(frozen=True, slots=True)
class Collection:
    """What a study has collected so far."""

    ratings: tuple[CollectedRating, ...]
    raters: tuple[RaterRecord, ...]


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
    file = RatingsFile(folder, study.digest())
    try:
        with file.transaction() as tables:
            raters = tables.execute("SELECT * FROM raters ORDER BY number").fetchall()
            return Collection(
                (*_of_pages(tables, study.by_id()), *_of_files(tables, study.by_id())),
                tuple(RaterRecord(_name(row["number"]), row["stage"], row["code"]) for row in raters),
            )
    finally:
        file.close()


def _of_pages(tables: sqlite3.Connection, items: Mapping[str, StudyItem]) -> Iterator[CollectedRating]:
    for row in tables.execute("SELECT * FROM ratings ORDER BY rater, session, position"):
        yield CollectedRating(
            rater=_name(row["rater"]),
            item=items[row["item"]],
            repeat=bool(row["repeat"]),
            ratings=_ratings(row),
            scales=row["scales"],
            seconds=row["seconds"],
            problem=row["problem"],
        )


def _of_files(tables: sqlite3.Connection, items: Mapping[str, StudyItem]) -> Iterator[CollectedRating]:
    for row in tables.execute("SELECT * FROM imported ORDER BY rater, item, repeat, scales"):
        yield CollectedRating(
            rater=row["rater"],
            item=items[row["item"]],
            repeat=bool(row["repeat"]),
            ratings=_ratings(row),
            scales=row["scales"],
            seconds=row["seconds"],
        )


def _ratings(row: sqlite3.Row) -> dict[str, int]:
    return {name: row[name] for name in SCALE_NAMES if row[name] is not None}


def _name(number: int) -> str:
    return f"rater{number + 1:03}"
