"""Release schema: dialogues, turns, clips, conflict pairs, and the checks on their rows."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property, partial
from typing import Any, Literal, cast

from avemo_harness.errors import MediaError, ReleaseError

MAX_TURNS = 1_000
"""Of a dialogue: each question shows all turns before it, so the cost grows with their square."""
MAX_SECONDS = 3_600.0
"""Of a turn's clip."""
MAX_RATE_HZ = 1_000.0
MAX_VALUES = 100_000
"""Of a trajectory: an hour at 25 a second has 90,000."""

Row = Mapping[str, Any]


def required(row: Row, key: str, kind: type, where: str) -> Any:
    """The value of a column that must hold one of a kind; a whole float stands for its int, as pandas writes it.

    Raises:
        ReleaseError: there is none, or of another kind.
    """
    value = row.get(key)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, kind):
        found = "nothing" if value is None else repr(value)
        raise ReleaseError(f"{where}: column {key!r} must hold a {kind.__name__}, found {found}")
    return value


def turn_records(row: Row, where: str) -> Sequence[Any]:
    """The turns of a dialogue, from 1 to `MAX_TURNS` (ReleaseError: there is no such list)."""
    turns = row.get("turns")
    if not isinstance(turns, Sequence) or not turns:
        raise ReleaseError(f"{where}: 'turns' must be a non-empty list")
    if len(turns) > MAX_TURNS:
        raise ReleaseError(f"{where}: a dialogue may have at most {MAX_TURNS:,} turns, found {len(turns):,}; split it")
    return turns


def bounded_number(row: Row, key: str, high: float, where: str) -> float | None:
    """A number above 0 and at most `high`; None where the column is null or not there.

    Raises:
        ReleaseError: the value is anything else.
    """
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= high:
        raise ReleaseError(f"{where}: {key} must be a number above 0 and at most {high:g}, or null, found {value!r}")
    return value


def rated_values(row: Row, where: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Valence and arousal over time, each in [0, 1]; of equal length where both are there, () where one is not.

    Raises:
        ReleaseError: a value is outside, there are more than `MAX_VALUES`, or the lengths differ.
    """
    valence, arousal = _unit_values(row, "valence", where), _unit_values(row, "arousal", where)
    if valence and arousal and len(valence) != len(arousal):
        raise ReleaseError(
            f"{where}: valence and arousal must have as many values as each other, found {len(valence)} and "
            f"{len(arousal)}"
        )
    return valence, arousal


def _unit_values(row: Row, key: str, where: str) -> tuple[float, ...]:
    values = row.get(key)
    if values is None:
        return ()
    if not isinstance(values, Sequence) or len(values) > MAX_VALUES:
        found = f"{len(values):,}" if isinstance(values, Sequence) else repr(values)
        raise ReleaseError(f"{where}: {key} must be a list of at most {MAX_VALUES:,} numbers, found {found}")
    for value in values:
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ReleaseError(f"{where}: {key} must hold numbers from 0 to 1, found {value!r}")
    return tuple(values)


EMOTIONS = ("neutral", "happy", "angry", "sad")
"""The four classes of the benchmark, in the order of its tables."""

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


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance. Valence and arousal are on the unit scale [0, 1], 0.5 = neutral, `va_rate_hz` values a second.

    The fields of `Turn`, `Dialogue` and `ConflictPair` are the columns of a release, in this order.
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


ClipReader = Callable[[int, str | None], bytes]
"""Reads a clip of a dialogue: (turn position, path in the row) -> the file's bytes."""


def parse_dialogue(row: Row, where: str, read_clip: ClipReader) -> Dialogue:
    """Check one row of a split's config and make it a Dialogue.

    Raises:
        ReleaseError: a column is missing or holds something that the schema does not allow.
    """
    dialogue_id = required(row, "dialogue_id", str, where)
    where = f"{where}: dialogue {dialogue_id!r}"
    turns = tuple(
        _parse_turn(raw, position, dialogue_id, where, read_clip)
        for position, raw in enumerate(turn_records(row, where))
    )
    if turns[0].role != "user":
        raise ReleaseError(f"{where}: the first turn must be the user's, found {turns[0].role!r}")
    return Dialogue(
        dialogue_id=dialogue_id,
        source=str(row.get("source") or ""),
        language=str(row.get("language") or ""),
        licence=str(row.get("licence") or ""),
        turns=turns,
    )


def _parse_turn(raw: Any, position: int, dialogue_id: str, where: str, read_clip: ClipReader) -> Turn:
    where = f"{where}, turn {position}"
    if not isinstance(raw, Mapping):
        raise ReleaseError(f"{where}: a turn must be a record, found {type(raw).__name__}")
    if raw.get("turn_index") != position:
        raise ReleaseError(f"{where}: turn_index must be {position}, found {raw.get('turn_index')!r}")
    role = required(raw, "role", str, where)
    if role not in ("user", "assistant"):
        raise ReleaseError(f"{where}: role must be 'user' or 'assistant', found {role!r}")
    emotion = raw.get("emotion")
    if emotion is not None and emotion not in EMOTIONS:
        number = ", a class number: write the label itself" if isinstance(emotion, int | float) else ""
        raise ReleaseError(f"{where}: emotion must be one of {', '.join(EMOTIONS)} or null, found {emotion!r}{number}")
    valence, arousal = rated_values(raw, where)
    return Turn(
        turn_index=position,
        role=cast(Role, role),
        speaker_id=required(raw, "speaker_id", str, where),
        text=str(raw.get("text") or ""),
        emotion=emotion,
        style_prompt=raw.get("style_prompt"),
        clip=_parse_clip(raw, position, dialogue_id, where, read_clip),
        duration_s=bounded_number(raw, "duration_s", MAX_SECONDS, where),
        valence=valence,
        arousal=arousal,
        va_rate_hz=bounded_number(raw, "va_rate_hz", MAX_RATE_HZ, where),
    )


def _parse_clip(raw: Row, position: int, dialogue_id: str, where: str, read_clip: ClipReader) -> Clip | None:
    media, digest = raw.get("clip"), raw.get("clip_sha256")
    if media is None and digest is None:
        return None
    if media is not None and not isinstance(media, Mapping):
        raise ReleaseError(f"{where}: clip must be a record of bytes and path, found {type(media).__name__}")
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ReleaseError(f"{where}: a clip needs its clip_sha256 (64 hex digits) beside it, found {digest!r}")
    path = media.get("path") if media else None
    name = f"dialogue {dialogue_id}, turn {position}"
    return Clip(digest, name, partial(read_clip, position, path), _stated_streams(raw, where))


def _stated_streams(raw: Row, where: str) -> frozenset[Stream] | None:
    """The streams that a row says its clip has; None where it does not say, or says that there are none."""
    stated = {stream: raw.get(column) for stream, column in STREAM_COLUMNS.items()}
    for stream, value in stated.items():
        if value is not None and not isinstance(value, bool):
            raise ReleaseError(f"{where}: {STREAM_COLUMNS[stream]} must be true, false or null, found {value!r}")
    return None if None in stated.values() else frozenset(stream for stream, value in stated.items() if value) or None


def parse_pair(row: Row, where: str) -> ConflictPair:
    """Check one row of a ``<split>_conflict`` config.

    Raises:
        ReleaseError: a column is missing, or both emotions are the same.
    """
    where = f"{where}: pair {required(row, 'pair_id', str, where)!r}"
    kinds = {column.name: int if column.type == "int" else str for column in fields(ConflictPair)}
    pair = ConflictPair(**{name: required(row, name, kind, where) for name, kind in kinds.items()})
    if pair.audio_emotion == pair.video_emotion:
        raise ReleaseError(f"{where}: sound and face must disagree, both are {pair.audio_emotion!r}")
    for emotion in (pair.audio_emotion, pair.video_emotion):
        if emotion not in EMOTIONS:
            raise ReleaseError(f"{where}: emotions must be among {', '.join(EMOTIONS)}, found {emotion!r}")
    return pair


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


def _canonical(row: Row) -> bytes:
    return json.dumps(row, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def dialogue_row(dialogue: Dialogue) -> dict[str, Any]:
    """The row of a dialogue without its clips' bytes."""
    row = {column.name: getattr(dialogue, column.name) for column in fields(Dialogue)}
    return {**row, "turns": [_turn_row(turn) for turn in dialogue.turns]}


def _turn_row(turn: Turn) -> dict[str, Any]:
    row = {column.name: getattr(turn, column.name) for column in fields(Turn) if column.name != "clip"}
    digest = turn.clip.sha256 if turn.clip else None
    return {**row, "clip_sha256": digest, "valence": list(turn.valence), "arousal": list(turn.arousal)}


def pair_row(pair: ConflictPair) -> dict[str, Any]:
    return asdict(pair)
