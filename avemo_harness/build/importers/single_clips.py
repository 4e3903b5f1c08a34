"""Clips that stand alone, as dialogues of one turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from avemo_harness.build.importers.base import FoundDialogue, FoundTurn, Recording
from avemo_harness.errors import UsageError
from avemo_harness.names import hint
from avemo_harness.recognizers.corpora.base import Part

TEST_SPEAKERS_HELP = "speakers of the test part, separated by commas; all others are for training (default: all test)"


def single_turn(name: str, part: Part, speaker: str, text: str, emotion: str, recording: Recording) -> FoundDialogue:
    """A dialogue of one turn of the user."""
    return FoundDialogue(name, part, (FoundTurn("user", speaker, text, emotion, recording),))


def parts_of_speakers(speakers: Iterable[str], test_speakers: str) -> Mapping[str, Part]:
    """The part of each speaker: test for those that are listed, train for the others; test for all if none is listed.

    Raises:
        UsageError: there is no such speaker, or nobody is left for training.

    >>> parts_of_speakers(["Ann", "Bob"], "Ann")
    {'Ann': 'test', 'Bob': 'train'}
    """
    known = sorted(set(speakers))
    listed = [name.strip() for name in test_speakers.split(",") if name.strip()]
    for name in listed:
        if name not in known:
            raise UsageError(f"test_speakers: there is no speaker {name!r}{hint(name, known)}")
    if listed and set(listed) == set(known):
        raise UsageError("test_speakers: nobody is left for training; leave the option out to test on all speakers")
    return {name: "test" if name in listed or not listed else "train" for name in known}
