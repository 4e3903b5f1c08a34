"""The screens of the rating page by stage, and the feedback on training items."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from avemo_harness.human.sessions import RATING_S, PendingItem, SeatAllocator, longest_session_s
from avemo_harness.human.study import Scale, Study, StudyItem


@dataclass(frozen=True, slots=True)
class ConsentScreen:
    """What the rater agrees to, and how long the study takes."""

    name: ClassVar[str] = "consent"
    title: str
    paragraphs: tuple[str, ...]
    minutes: int


@dataclass(frozen=True, slots=True)
class DeviceScreen:
    """A clip to see and hear."""

    name: ClassVar[str] = "device"
    media: str
    attempts_left: int


@dataclass(frozen=True, slots=True)
class InstructionsScreen:
    """The scales with their anchors, and how many items there are."""

    name: ClassVar[str] = "instructions"
    scales: tuple[Scale, ...]
    training: int
    items: int
    blocks: int


@dataclass(frozen=True, slots=True)
class PlayedSegment:
    """A file to play, who speaks in it, and the words to show where the voice has none."""

    speaker: str
    media: str
    seconds: float
    words: str = ""


@dataclass(frozen=True, slots=True)
class ItemScreen:
    """An item to play to the end and to rate.

    Args:
        showing: names this item to this rater alone.
        part: ``training`` is answered with what was expected.
        number, of: the place in the part, from 1.
        block, blocks: the block of the session, from 1.
        pause: a new block begins with this item.
        again: the training is done for the second time.
        begun: the rater has begun to play it.
    """

    name: ClassVar[str] = "item"
    showing: str
    part: Literal["training", "rating"]
    segments: tuple[PlayedSegment, ...]
    scales: tuple[Scale, ...]
    number: int
    of: int
    block: int = 1
    blocks: int = 1
    pause: bool = False
    again: bool = False
    begun: bool = False


Ending = Literal["done", "full", "failed", "unfit", "lapsed"]


@dataclass(frozen=True, slots=True)
class EndScreen:
    """The end.

    Args:
        why: all is rated, no place is left, training or device check was not passed, or the place went to another.
        code: proves to whoever recruits that all is rated.
    """

    name: ClassVar[str] = "end"
    why: Ending
    code: str | None = None


Screen = ConsentScreen | DeviceScreen | InstructionsScreen | ItemScreen | EndScreen


@dataclass(frozen=True, slots=True)
class Feedback:
    """How a training item was rated on one scale, and how it should have been.

    Args:
        exact: the one rating counts, as with beeps; else those beside it do too.
        why: the reason, in a sentence or two; may be empty.
    """

    title: str
    given: int
    expected: int
    exact: bool
    why: str = ""


def played(item: StudyItem, words: Sequence[str] = ()) -> tuple[PlayedSegment, ...]:
    """An item's files in the order of playing.

    Args:
        words: of each, where they are to be shown.
    """
    shown = words or [""] * len(item.segments)
    return tuple(
        PlayedSegment(one.speaker, one.media, one.seconds, said) for one, said in zip(item.segments, shown, strict=True)
    )


def media_of(screen: Screen) -> frozenset[str]:
    """The files that a screen plays; others are refused."""
    if isinstance(screen, DeviceScreen):
        return frozenset({screen.media})
    if isinstance(screen, ItemScreen):
        return frozenset(segment.media for segment in screen.segments)
    return frozenset()


def message(screen: Screen, feedback: Sequence[Feedback] = ()) -> Mapping[str, Any]:
    """A screen as it is sent to the browser, JSON-ready."""
    return {"screen": screen.name, **asdict(screen), "feedback": [asdict(one) for one in feedback]}


TRIES = 2
PASS_SHARE = 0.8
"""Of the expected ratings that must be met within one point; those of traps all exactly."""


def passed(items: Sequence[StudyItem], given: Sequence[Mapping[str, int | None]]) -> bool:
    """Whether ratings of the training items are good enough.

    Args:
        given: for every item the ratings by scale; None where the rater could not rate it, which counts as a miss.
    """
    pairs = [
        (item.kind, expected, ratings[name])
        for item, ratings in zip(items, given, strict=True)
        for name, expected in item.expected.items()
    ]
    listened = all(found == expected for kind, expected, found in pairs if kind == "trap")
    golds = [found is not None and abs(found - expected) <= 1 for kind, expected, found in pairs if kind != "trap"]
    return listened and sum(golds) >= PASS_SHARE * len(golds)


def feedback_on(study: Study, item: StudyItem, given: Mapping[str, int]) -> list[Feedback]:
    """What a rater is told of a training item, by scale; nothing where it was not rated."""
    why = study.lessons[item.item_id].why if item.item_id in study.lessons else {}
    return [
        Feedback(
            scale.title,
            given[scale.name],
            item.expected[scale.name],
            exact=item.kind == "trap",
            why=why.get(scale.name, ""),
        )
        for scale in study.scales
        if scale.name in item.expected and scale.name in given
    ]


ENDINGS: Mapping[str, Ending] = {"done": "done", "failed": "failed", "unfit": "unfit", "lapsed": "lapsed"}
"""Stages at which the study is over for a rater."""


class ScreenBuilder:
    """The screens of a study's stages: consent, device, instructions, training, rating, and the end."""

    def __init__(self, study: Study, seats: SeatAllocator) -> None:
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

    def _rating_screen(self, tables: sqlite3.Connection, rater: int, place: PendingItem) -> ItemScreen:
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
