"""From the stage that a rater has come to, to the screen that shows it."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping

from avemo_harness.human.schedule import RATING_S, longest_session_s
from avemo_harness.human.screens import (
    ConsentScreen,
    DeviceScreen,
    Ending,
    EndScreen,
    InstructionsScreen,
    ItemScreen,
    Screen,
    played,
)
from avemo_harness.human.seats import Place, Seats
from avemo_harness.human.study import Study

ENDINGS: Mapping[str, Ending] = {"done": "done", "failed": "failed", "unfit": "unfit", "lapsed": "lapsed"}
"""Stages at which the study is over for a rater."""


class Stages:
    """The screens of a study's stages: consent, device, instructions, training, rating, and the end."""

    def __init__(self, study: Study, seats: Seats) -> None:
        self._study = study
        self._items = study.by_id()
        self._seats = seats

    def screen(self, tables: sqlite3.Connection, rater: int) -> Screen:
        """The screen of a rater, inside the caller's transaction."""
        known = tables.execute("SELECT * FROM raters WHERE number = ?", (rater,)).fetchone()
        stage = known["stage"]
        if stage == "consent":
            return ConsentScreen(self._study.title, self._study.consent, self._minutes())
        if stage == "device":
            attempt = known["device_attempts"]
            checks = self._study.device_checks
            return DeviceScreen(checks[attempt].media, len(checks) - attempt)
        if stage == "instructions":
            place = self._seats.next_place(tables, rater)
            session = place.content if place else self._study.sessions[0]
            of = place.of if place else 0
            return InstructionsScreen(self._study.scales, len(self._study.training), of, len(session.blocks))
        if stage == "training":
            return self._training_screen(tables, rater, known["training_try"])
        if stage == "rating":
            place = self._seats.next_place(tables, rater)
            assert place is not None  # a rater with nothing left is done
            return self._rating_screen(tables, rater, place)
        return EndScreen(ENDINGS[stage], known["code"])

    def _training_screen(self, tables: sqlite3.Connection, rater: int, turn: int) -> ItemScreen:
        (position,) = tables.execute(
            "SELECT COUNT(*) FROM training WHERE rater = ? AND try = ?", (rater, turn)
        ).fetchone()
        showing = self._seats.showing_id(rater, "training", turn, position)
        item = self._study.training[position]
        lesson = self._study.lessons.get(item)
        return ItemScreen(
            showing=showing,
            part="training",
            segments=played(self._items[item], lesson.words if lesson else ()),
            scales=self._study.scales,
            number=position + 1,
            of=len(self._study.training),
            again=turn > 0,
            begun=_has_begun(tables, rater, showing),
        )

    def _rating_screen(self, tables: sqlite3.Connection, rater: int, place: Place) -> ItemScreen:
        session = place.content
        block = session.block_of(place.position)
        showing = self._seats.showing_id(rater, place.session, place.position)
        begins = place.number > 1 and place.position > 0 and session.block_of(place.position - 1) < block
        return ItemScreen(
            showing=showing,
            part="rating",
            segments=played(self._items[place.showing.item]),
            scales=self._study.scales,
            number=place.number,
            of=place.of,
            block=block + 1,
            blocks=len(session.blocks),
            pause=begins,
            begun=_has_begun(tables, rater, showing),
        )

    def _minutes(self) -> int:
        items = [self._items[one] for one in self._study.training]
        training = sum(item.seconds + RATING_S for item in items)
        return max(5, 5 * math.ceil((longest_session_s(self._study) + training) / 300))


def _has_begun(tables: sqlite3.Connection, rater: int, showing: str) -> bool:
    query = "SELECT 1 FROM begun WHERE rater = ? AND showing = ?"
    return tables.execute(query, (rater, showing)).fetchone() is not None
