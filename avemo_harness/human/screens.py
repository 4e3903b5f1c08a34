"""The screens of the rating page by stage, and the feedback on training items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from avemo_harness.human.study import Scale, Study, StudyItem


@dataclass(frozen=True, slots=True)
class ConsentScreen:
    """Consent text, and the minutes that the study takes."""

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
    """Given and expected rating of a training item on one scale.

    Args:
        exact: the one rating counts, as with beeps; else those beside it do too.
        why: the reason, in a sentence or two; may be empty.
    """

    title: str
    given: int
    expected: int
    exact: bool
    why: str = ""


def playback_segments(item: StudyItem, words: Sequence[str] = ()) -> tuple[PlayedSegment, ...]:
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


def passes_training(items: Sequence[StudyItem], given: Sequence[Mapping[str, int | None]]) -> bool:
    """True where ratings of the training items are good enough.

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
    """Feedback on a training item, by scale; none where it was not rated."""
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
