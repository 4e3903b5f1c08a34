"""What a rater sees next: everything that the page in the browser knows of the study, and nothing of its systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from avemo_harness.human.scales import Scale
from avemo_harness.human.study import StudyItem


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
