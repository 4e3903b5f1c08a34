"""Check the rows of a release, and make dialogues and conflict pairs of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, cast, get_args

from avemo_harness.benchmark.release import (
    STREAM_COLUMNS,
    Clip,
    ConflictPair,
    Dialogue,
    Role,
    Shown,
    Stream,
    Turn,
    Vote,
)
from avemo_harness.errors import ReleaseError

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
    if values == []:
        return ()
    if not isinstance(values, Sequence) or len(values) > MAX_VALUES:
        found = f"{len(values):,}" if isinstance(values, Sequence) else repr(values)
        raise ReleaseError(f"{where}: {key} must be a list of at most {MAX_VALUES:,} numbers, found {found}")
    for value in values:
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ReleaseError(f"{where}: {key} must hold numbers from 0 to 1, found {value!r}")
    return tuple(values)


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
    if emotion is not None and (not isinstance(emotion, str) or not emotion):
        number = ", a class number: write the label itself" if isinstance(emotion, int | float) else ""
        raise ReleaseError(f"{where}: emotion must be a label, or null, found {emotion!r}{number}")
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
        votes=_parse_votes(raw.get("votes"), where),
    )


def _parse_votes(raw: Any, where: str) -> tuple[Vote, ...]:
    """The votes of a turn; () where the column is null or not there."""
    if raw is None:
        return ()
    if not isinstance(raw, Sequence) or not all(isinstance(one, Mapping) for one in raw):
        raise ReleaseError(f"{where}: votes must be a list of records of shown, label and raters, found {raw!r}")
    votes = tuple(
        Vote(
            required(one, "shown", str, where), required(one, "label", str, where), required(one, "raters", int, where)
        )
        for one in raw
    )
    for vote in votes:
        if vote.shown not in get_args(Shown) or vote.raters < 1:
            raise ReleaseError(
                f"{where}: a vote must be of what was shown ({', '.join(get_args(Shown))}) by 1 rater or more, "
                f"found {vote.shown!r} by {vote.raters}"
            )
    return votes


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
    return pair
