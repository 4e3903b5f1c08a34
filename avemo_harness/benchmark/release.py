"""Release schema: dialogues, turns, clips, conflict pairs, labels, and the fingerprint of their content."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from operator import attrgetter
from typing import Any, Literal

from avemo_harness.errors import MediaError, ReleaseError

EMOTIONS = ("neutral", "happy", "angry", "sad")
"""The four classes of the benchmark, in the order of its tables."""


def order_labels(found: Iterable[str]) -> tuple[str, ...]:
    """The order of labels in tables: the benchmark's four where there is no other, else those that there are.

    >>> order_labels(["sad", "happy"])
    ('neutral', 'happy', 'angry', 'sad')
    >>> order_labels(["sad", "fear", "anger"])
    ('sad', 'anger', 'fear')
    """
    labels = set(found)
    if labels <= set(EMOTIONS):
        return EMOTIONS
    return (*(label for label in EMOTIONS if label in labels), *sorted(labels - set(EMOTIONS)))


def labels_of_users(releases: Iterable[Release]) -> tuple[str, ...]:
    """The labels of the user's turns in releases, in the order of tables."""
    turns = (turn for release in releases for dialogue in release.dialogues for turn in dialogue.turns)
    return order_labels(turn.emotion for turn in turns if turn.role == "user" and turn.emotion is not None)


DEMO = "builtin:demo"
"""The source of the built-in demo release."""

CONFLICT = "_conflict"
"""Suffix of a config of conflict pairs; before it stands the config that they belong to."""

Role = Literal["user", "assistant"]

Stream = Literal["sound", "picture"]
STREAM_COLUMNS: Mapping[Stream, str] = {"sound": "has_sound", "picture": "has_picture"}
"""The columns beside a clip that say which streams it has."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One turn's recording, read on demand and checked against its digest.

    Args:
        sha256: hex digest of the file's bytes.
        name: how errors call it, such as ``dialogue d12, turn 3``.
        fetch: returns the file's bytes.
        streams: what the file holds; None where that is not known
            (`avemo_harness.benchmark.release_loader.streams_of` looks).
    """

    sha256: str
    name: str = field(compare=False)
    fetch: Callable[[], bytes] = field(compare=False, repr=False)
    streams: frozenset[Stream] | None = field(default=None, compare=False)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "clip in memory") -> Clip:
        """Wrap bytes that are already in memory.

        >>> Clip.from_bytes(b"x").sha256[:8]
        '2d711642'
        """
        return cls(sha256=hashlib.sha256(data).hexdigest(), name=name, fetch=lambda: data)

    def read(self) -> bytes:
        """Return the clip's bytes.

        Raises:
            MediaError: the file is missing, or its bytes are not those the release was made with.
        """
        data = self.fetch()
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            raise MediaError(
                f"{self.name}: the clip's bytes have sha256 {found[:12]}…, the release says {self.sha256[:12]}…; "
                "restore the file or rebuild the release"
            )
        return data


Shown = Literal["sound", "picture", "both"]
"""Streams of a clip that people were shown who said what they perceive."""


@dataclass(frozen=True, slots=True)
class Vote:
    """Number of raters who gave a turn a label of the corpus, of those who were shown the same of its clip."""

    shown: Shown
    label: str
    raters: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance. Valence and arousal are on the unit scale [0, 1], 0.5 = neutral, `va_rate_hz` values a second.

    The fields of `Turn`, `Dialogue` and `ConflictPair` are the columns of a release, in this order; but for those of
    `TABLE_FIELDS`, which only rows of other tables have, and for `votes`, which is a column where a turn has some.

    Args:
        emotion: a label in the corpus' own words.
        choices: options of a question about it, texts or recordings.
        answer: the true answer; of a choice, its place among `choices` in digits, from 0.
        row: values that templates of a task may use, by column.
        votes: of raters, beside the label.
    """

    turn_index: int
    role: Role
    speaker_id: str
    text: str
    emotion: str | None = None
    style_prompt: str | None = None
    clip: Clip | None = None
    duration_s: float | None = None
    valence: tuple[float, ...] = ()
    arousal: tuple[float, ...] = ()
    va_rate_hz: float | None = None
    choices: tuple[str | Clip, ...] = ()
    answer: str | None = None
    row: Mapping[str, Any] = field(default_factory=dict, hash=False)
    votes: tuple[Vote, ...] = ()


TABLE_FIELDS = ("choices", "answer", "row")
"""Fields of `Turn` that are no columns of a release."""
VOTES = "votes"
"""The field of `Turn` that is a column of those releases alone that have some."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Turns in order; the first speaker is the user."""

    dialogue_id: str
    source: str
    language: str
    licence: str
    turns: tuple[Turn, ...]

    def is_answered(self, turn_index: int) -> bool:
        """Check that the turn behind this one is the assistant's."""
        return turn_index + 1 < len(self.turns) and self.turns[turn_index + 1].role == "assistant"


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Counts of a split's dialogues, and of its user turns with their speakers and emotions (None: not labelled)."""

    dialogues: int
    user_turns: int
    speakers: int
    emotions: Counter[str | None]

    @classmethod
    def of(cls, dialogues: Sequence[Dialogue]) -> SplitCounts:
        """Count what `dialogues` have."""
        asked = [turn for dialogue in dialogues for turn in dialogue.turns if turn.role == "user"]
        emotions = Counter(turn.emotion for turn in asked)
        return cls(len(dialogues), len(asked), len({turn.speaker_id for turn in asked}), emotions)


TurnRef = tuple[str, int]
"""Id of a dialogue and index of a turn in it."""


@dataclass(frozen=True, slots=True)
class ConflictPair:
    """The sound of one clip with the face of another: same speaker, opposite valence."""

    pair_id: str
    audio_dialogue_id: str
    audio_turn: int
    video_dialogue_id: str
    video_turn: int
    audio_emotion: str
    video_emotion: str
    speaker_id: str

    @property
    def audio(self) -> TurnRef:
        """The turn that gives the sound."""
        return self.audio_dialogue_id, self.audio_turn

    @property
    def video(self) -> TurnRef:
        """The turn that gives the face."""
        return self.video_dialogue_id, self.video_turn


@dataclass(frozen=True)
class Release:
    """One split of a release, as read.

    Args:
        source: Hub id or path it was read from.
        commit: the Hub commit, None for local files.
        fingerprint: digest of the rows' content, the same for every reader and file layout.
    """

    source: str
    name: str
    split: str
    commit: str | None
    dialogues: tuple[Dialogue, ...]
    pairs: tuple[ConflictPair, ...]
    fingerprint: str

    @cached_property
    def _dialogues(self) -> dict[str, Dialogue]:
        return {dialogue.dialogue_id: dialogue for dialogue in self.dialogues}

    @cached_property
    def _pairs(self) -> dict[str, ConflictPair]:
        return {pair.pair_id: pair for pair in self.pairs}

    def dialogue(self, dialogue_id: str) -> Dialogue:
        return self._dialogues[dialogue_id]

    def turn(self, ref: TurnRef) -> Turn:
        """The turn of a dialogue.

        Raises:
            KeyError: there is no such dialogue, or no such turn in it.
        """
        dialogue_id, index = ref
        turns = self._dialogues[dialogue_id].turns
        if not 0 <= index < len(turns):
            raise KeyError(ref)
        return turns[index]

    def pair(self, pair_id: str) -> ConflictPair:
        return self._pairs[pair_id]


def make_release(
    source: str,
    name: str,
    split: str,
    commit: str | None,
    dialogues: Iterable[Dialogue],
    pairs: Iterable[ConflictPair],
) -> Release:
    """Put a release together: check that ids are unique and compute its fingerprint.

    Raises:
        ReleaseError: two rows share an id.
    """
    kept, kept_pairs = tuple(dialogues), tuple(pairs)
    _refuse_duplicates([d.dialogue_id for d in kept], f"{source}: config {name!r}", "dialogue_id")
    _refuse_duplicates([p.pair_id for p in kept_pairs], f"{source}: config {name}{CONFLICT}", "pair_id")
    return Release(source, name, split, commit, kept, kept_pairs, fingerprint(kept, kept_pairs))


def _refuse_duplicates(ids: Sequence[str], where: str, column: str) -> None:
    seen: set[str] = set()
    for row_id in ids:
        if row_id in seen:
            raise ReleaseError(f"{where}: {column} {row_id!r} occurs twice; ids must be unique")
        seen.add(row_id)


def fingerprint(dialogues: Sequence[Dialogue], pairs: Sequence[ConflictPair]) -> str:
    """Digest of everything a release says, clips by their own digests.

    Which streams a clip has follows from its bytes, so the columns that tell it change no fingerprint.
    """
    digest = hashlib.sha256()
    for dialogue in dialogues:
        digest.update(_canonical(dialogue_row(dialogue)))
    for pair in pairs:
        digest.update(_canonical(pair_row(pair)))
    return digest.hexdigest()


def _canonical(row: Mapping[str, Any]) -> bytes:
    return _encode(row).encode() + b"\n"


_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode


_DIALOGUE_COLUMNS = tuple(column.name for column in fields(Dialogue))
_TURN_COLUMNS = tuple(column.name for column in fields(Turn) if column.name not in ("clip", VOTES, *TABLE_FIELDS))
_turn_values = attrgetter(*_TURN_COLUMNS)


def dialogue_row(dialogue: Dialogue) -> dict[str, Any]:
    """The row of a dialogue without its clips' bytes."""
    row = {name: getattr(dialogue, name) for name in _DIALOGUE_COLUMNS}
    return {**row, "turns": [_turn_row(turn) for turn in dialogue.turns]}


def _turn_row(turn: Turn) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(_TURN_COLUMNS, _turn_values(turn), strict=True))
    digest = turn.clip.sha256 if turn.clip else None
    row |= {"clip_sha256": digest, "valence": list(turn.valence), "arousal": list(turn.arousal)}
    votes = {VOTES: [asdict(vote) for vote in turn.votes]} if turn.votes else {}
    return {**row, **_table_row(turn), **votes}


def _table_row(turn: Turn) -> dict[str, Any]:
    """The values of `TABLE_FIELDS`, recordings by their digests; nothing where there are none."""
    row: dict[str, Any] = {}
    if turn.choices:
        row["choices"] = [option if isinstance(option, str) else {"clip": option.sha256} for option in turn.choices]
    if turn.answer is not None:
        row["answer"] = turn.answer
    if turn.row:
        row["row"] = dict(turn.row)
    return row


def pair_row(pair: ConflictPair) -> dict[str, Any]:
    return asdict(pair)
