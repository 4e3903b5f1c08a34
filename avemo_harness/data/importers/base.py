"""Dialogues that an importer finds in a corpus, and how corpora are cut into segments and splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, Protocol, TypeVar

from avemo_harness.benchmark.release import ConflictPair, Dialogue, Role, Vote
from avemo_harness.errors import UsageError
from avemo_harness.recognizers.recordings import Dropped, Part
from avemo_harness.registry import hint

MULTI_TURN, SINGLE_TURN = "multiturn_real", "singleturn_synthetic"
"""The configs that are read by the tasks of real dialogues, and by those of single turns: clips that stand alone go
there, real ones too."""
CONVERSATIONS = "conversations"
"""The config of conversations of several people, of which nobody is the assistant."""


@dataclass(frozen=True, slots=True)
class CorpusInfo:
    """Name, licence and labels of a corpus, the same for every clip.

    Args:
        name: as its authors call it.
        licence: SPDX where there is one.
        redistributable: whether clips, or parts of them, may be passed on to others.
        no_derivatives: whether changed clips must not be passed on.
        label_map: the corpus' own labels, each with the benchmark's emotion; what is not here is left out.
        language: code such as ``en``.
    """

    name: str
    homepage: str
    citation: str
    licence: str
    redistributable: bool
    label_map: Mapping[str, str]
    no_derivatives: bool = False
    language: str = "en"

    def with_labels(self, labels: Labels, found: Iterable[str]) -> CorpusInfo:
        """The same corpus, with all labels that were found where they are wanted, in the corpus' own words."""
        if labels == "four":
            return self
        return replace(self, label_map={label: label for label in sorted(set(found)) if label})


@dataclass(frozen=True)
class ClipSource:
    """The origin of a turn's clip; its files are read when it is made.

    Args:
        name: the file that it is, or is mostly made of, by its name in the source.
        make: gives the clip; raises a MediaError where a file is damaged, or does not fit the others.
        ending: that of a file that holds the clip.
        readable_in_place: whether the clip is that very file, in a local folder.
    """

    name: str
    make: Callable[[], bytes]
    ending: str = ".mp4"
    readable_in_place: bool = False


@dataclass(frozen=True, slots=True)
class FoundTurn:
    """A turn before its clip has been looked at. `emotion` is a label of the release, or None.

    Args:
        recording: None for a turn of which there are words alone.
    """

    role: Role
    speaker_id: str
    text: str
    emotion: str | None
    recording: ClipSource | None
    votes: tuple[Vote, ...] = ()


IfDamaged = Literal["leave out", "keep words"]


@dataclass(frozen=True, slots=True)
class FoundDialogue:
    """A dialogue before its clips have been looked at; single clips are dialogues of one turn.

    Args:
        if_damaged: what becomes of it where a clip turns out to be damaged: it is left out, or that turn has its words
            alone, so that the others keep what was said before them.
    """

    dialogue_id: str
    part: Part
    turns: tuple[FoundTurn, ...]
    if_damaged: IfDamaged = "leave out"

    @property
    def recordings(self) -> tuple[ClipSource, ...]:
        """The clips that its turns have."""
        return tuple(turn.recording for turn in self.turns if turn.recording is not None)

    def is_usable(self, checked: Collection[str]) -> bool:
        """Tell whether it is kept where only clips of these names can be used."""
        usable = [clip.name in checked for clip in self.recordings]
        return any(usable) if self.if_damaged == "keep words" else all(usable)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that told about the clips, by its name in the source and its digest."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class FoundCorpus:
    """Dialogues that an importer found. No clip has been decoded.

    Args:
        config: the config that dialogues like these are written as.
        names: of the source's files; clips are read in this order.
        dropped: what was left out, each recording under one reason.
        notes: sentences for the user.
    """

    about: CorpusInfo
    config: str
    dialogues: tuple[FoundDialogue, ...]
    names: Sequence[str]
    dropped: tuple[Dropped, ...]
    tables: tuple[ReadFile, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportedCorpus:
    """A corpus as dialogues whose clips were checked; a clip's bytes are read when asked for.

    Args:
        found: the corpus, with what was dropped and noted since.
        dialogues: of each part, by id.
        pairs: conflict pairs of each part that has some.
        paths: by the digest of a clip, its path below the folder that readers give as ``media_root``.
        checked: how many clips were looked at.
        bad_files: why each file that was left out with its dialogue cannot be used, by name.
    """

    found: FoundCorpus
    dialogues: Mapping[Part, tuple[Dialogue, ...]]
    pairs: Mapping[Part, tuple[ConflictPair, ...]]
    paths: Mapping[str, str]
    checked: int
    bad_files: Mapping[str, str]

    @property
    def bad_share(self) -> float:
        """Share of the clips, from 0 to 1, that was left out."""
        return len(self.bad_files) / self.checked


Labels = Literal["four", "all"]
LABELS_HELP = (
    "four: the benchmark's emotions, others are left out; all: every label in the corpus' own words, which a task maps "
    "by its label_map"
)
BY_DEFAULT: Mapping[str, object] = {"labels": "four", "votes": False, "dialogues": "segments"}
"""Options that import records leave out at these values, since they came after releases had been imported."""

TEST_SPEAKERS_HELP = "speakers of the test part, separated by commas; all others are for training (default: all test)"


def single_turn(
    name: str,
    part: Part,
    speaker: str,
    text: str,
    emotion: str,
    recording: ClipSource,
    votes: tuple[Vote, ...] = (),
) -> FoundDialogue:
    """A dialogue of one turn of the user."""
    return FoundDialogue(name, part, (FoundTurn("user", speaker, text, emotion, recording, votes),))


def alternating_turns(
    utterances: Iterable[tuple[str, str, str | None, ClipSource]],
) -> tuple[FoundTurn, ...]:
    """The turns of utterances (speaker, text, emotion, clip); the user begins, then user and assistant alternate."""
    roles: tuple[Role, Role] = ("user", "assistant")
    return tuple(FoundTurn(roles[index % 2], *utterance) for index, utterance in enumerate(utterances))


def parts_of_speakers(speakers: Iterable[str], test_speakers: str, what: str = "speaker") -> Mapping[str, Part]:
    """The part of each speaker: test for those that are listed, train for the others; test for all if none is listed.

    Args:
        what: those whom the parts keep apart, such as ``session``; the option is ``test_<what>s``.

    Raises:
        UsageError: there is no such speaker, or nobody is left for training.

    >>> parts_of_speakers(["Ann", "Bob"], "Ann")
    {'Ann': 'test', 'Bob': 'train'}
    """
    known = sorted(set(speakers))
    listed = [name.strip() for name in test_speakers.split(",") if name.strip()]
    for name in listed:
        if name not in known:
            raise UsageError(f"test_{what}s: there is no {what} {name!r}{hint(name, known)}")
    if listed and set(listed) == set(known):
        raise UsageError(f"test_{what}s: nobody is left for training; leave the option out to test on all {what}s")
    return {name: "test" if name in listed or not listed else "train" for name in known}


MAX_SEGMENT_TURNS, MIN_SEGMENT_TURNS = 5, 3


@dataclass(frozen=True, slots=True)
class ConversationTurn:
    """One utterance of a conversation that there is a clip of.

    Args:
        askable: whether its emotion is one of the benchmark's, so that it may be the user's.
        follows: whether nothing was said between it and the one before it.
    """

    speaker: str
    askable: bool
    follows: bool = True


def cut_segments(talk: Sequence[ConversationTurn]) -> list[range]:
    """Cut a conversation into segments that do not overlap, from its beginning, each as long as can be.

    In a segment two people alternate; whoever begins is the user, and all of the user's utterances are askable.

    Returns:
        The indices of each segment's utterances.

    >>> talk = [ConversationTurn("a", True), ConversationTurn("b", False), *2 * [ConversationTurn("a", True)]]
    >>> cut_segments(talk)
    [range(0, 3)]
    """
    segments = []
    start = 0
    while start < len(talk):
        length = _longest_segment(talk[start : start + MAX_SEGMENT_TURNS])
        if length >= MIN_SEGMENT_TURNS:
            segments.append(range(start, start + length))
        start += length if length >= MIN_SEGMENT_TURNS else 1
    return segments


def _longest_segment(talk: Sequence[ConversationTurn]) -> int:
    """The number of these utterances, from the first, that one segment can hold."""
    for index, turn in enumerate(talk):
        is_user = index % 2 == 0
        expected = talk[index % 2].speaker if index > 1 else turn.speaker
        strange = turn.speaker != expected or (index == 1 and turn.speaker == talk[0].speaker)
        if strange or (is_user and not turn.askable) or (index and not turn.follows):
            return index
    return len(talk)


class Utterance(Protocol):
    """One utterance of a conversation; `label` is the corpus' own."""

    @property
    def speaker(self) -> str: ...

    @property
    def label(self) -> str: ...


UtteranceT = TypeVar("UtteranceT", bound=Utterance)


def segment_utterances(
    utterances: Sequence[UtteranceT],
    label_map: Mapping[str, str],
    follows: Callable[[UtteranceT, UtteranceT], bool],
    why_unusable: Callable[[UtteranceT], str | None],
    dropped: Counter[str],
) -> list[list[UtteranceT]]:
    """The segments of a conversation.

    Args:
        follows: of an utterance and the usable one before it, that nothing was said between them.
        why_unusable: reason why no segment may hold an utterance; None where one may.
        dropped: each utterance that is in no segment is counted there under one reason.
    """
    usable = [utterance for utterance in utterances if why_unusable(utterance) is None]
    talk = [
        ConversationTurn(
            utterance.speaker, utterance.label in label_map, index > 0 and follows(utterance, usable[index - 1])
        )
        for index, utterance in enumerate(usable)
    ]
    segments = [usable[segment.start : segment.stop] for segment in cut_segments(talk)]
    used = {id(utterance) for segment in segments for utterance in segment}
    for utterance in utterances:
        if id(utterance) not in used:
            in_no_segment = (
                f"utterances in no segment of {MIN_SEGMENT_TURNS} to {MAX_SEGMENT_TURNS} turns"
                if utterance.label in label_map
                else f"label {utterance.label}"
            )
            dropped[why_unusable(utterance) or in_no_segment] += 1
    return segments


TEST_SHARE = 0.25


def choose_test_actors(talks: Mapping[frozenset[str], int]) -> frozenset[str]:
    """Choose whom to leave out for testing: what is lost, between the two groups, is small, and a quarter is tested on.

    Args:
        talks: how much each group of people said among themselves.

    Returns:
        Those for whom the share that is lost, plus the distance of the tested share from a quarter, is least.

    Raises:
        UsageError: no two groups talk among themselves.

    >>> sorted(choose_test_actors({frozenset("ab"): 6, frozenset("cd"): 2, frozenset("bd"): 1}))
    ['c', 'd']
    """
    actors = sorted(frozenset().union(*talks))
    candidates = [frozenset(some) for count in range(1, len(actors)) for some in combinations(actors, count)]
    total = sum(talks.values())
    best: tuple[float, frozenset[str]] | None = None
    for some in candidates:
        shares = dict.fromkeys(("train", "test", None), 0.0)
        for people, amount in talks.items():
            shares[part_of_actors(people, some)] += amount / total
        loss = round(shares[None] + abs(shares["test"] - TEST_SHARE), 9)
        if shares["train"] and shares["test"] and (best is None or loss < best[0]):
            best = loss, some
    if best is None:
        raise UsageError("leave-actors-out needs people who talk without the others; take the official split")
    return best[1]


def part_of_actors(people: Set[str], test_actors: Set[str]) -> Part | None:
    """The part of what people say to each other; None where one is of each.

    >>> part_of_actors({"a", "b"}, {"c"}), part_of_actors({"b", "c"}, {"c"})
    ('train', None)
    """
    if people <= test_actors:
        return "test"
    return None if people & test_actors else "train"
