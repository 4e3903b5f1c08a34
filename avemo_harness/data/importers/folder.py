"""A folder of one's own clips with a table of labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.benchmark.text_tables import decode_text, parse_table, path_spellings, whole_number
from avemo_harness.data.importers.base import (
    MULTI_TURN,
    SINGLE_TURN,
    ClipSource,
    CorpusInfo,
    FoundCorpus,
    FoundDialogue,
    FoundTurn,
)
from avemo_harness.data.importers.recordings import clip_source, unusable_file
from avemo_harness.data.importers.source import LocalFiles, Source, record_file
from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.recognizers.recordings import Part, left_out, parse_part
from avemo_harness.registry import hint, parse_arguments

_OTHER_TABLES = (".xlsx", ".xls", ".ods", ".parquet", ".json", ".txt")
_MISSING = "correct the path, which begins at the table's folder"
_COLUMNS = ("path", "emotion", "speaker", "text", "part", "dialogue", "turn", "role")


@dataclass(frozen=True, slots=True)
class FolderOptions:
    name: str = field(default="own clips", metadata={"help": "what the clips are called as a whole"})
    table: str = field(default="", metadata={"help": "name of the table (default: the only one there)"})
    label_map: str = field(
        default="",
        metadata={
            "help": "your labels as the benchmark's, such as anger=angry,joy=happy; others are left out, counted"
        },
    )
    licence: str = field(default="unknown", metadata={"help": "of the clips"})
    redistributable: bool = field(default=False, metadata={"help": "the clips may be passed on, so embed them"})
    language: str = field(default="en", metadata={"help": "that is spoken, as a code"})


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the table.

    Args:
        where: file and line.
        path: as it is in the row, with slashes; from the table's folder, or from the source's where the clip lies
            outside the table's.
        clip: name of the file in the source, or where it would be.
        turn: None where the row tells none.
    """

    where: str
    path: str
    clip: str
    is_there: bool
    speaker: str
    text: str
    label: str
    part: Part
    dialogue: str
    turn: int | None
    role: str


def find_folder(source: Source, options: FolderOptions) -> FoundCorpus:
    """Every clip of the table, alone or in its dialogue; a dialogue with a user turn of another label is left out.

    Raises:
        ReleaseError: the table is missing or malformed, names a file twice or none that is there, or has no clip in
            one of the benchmark's emotions.
        UsageError: the label map names an emotion that is not the benchmark's.
    """
    label_map = _label_map(options.label_map)
    names = source.names()
    table = _choose_table(source, names, options.table)
    data = source.read(table)
    rows = _rows(source, table, data, names)
    dropped: Counter[str] = Counter()
    dialogues = []
    for name, talk in _dialogue_rows(rows).items():
        unmapped = [row.label for row, role in talk if role == "user" and row.label not in label_map]
        if unmapped:
            dropped[f"{'dialogues with ' if len(talk) > 1 else ''}label {unmapped[0]}"] += 1
        else:
            dialogues.append(_dialogue(source, name, talk, label_map))
    if not dialogues:
        raise _no_such_label(table, rows, label_map)
    about = CorpusInfo(
        name=options.name,
        homepage="",
        citation="",
        licence=options.licence,
        redistributable=options.redistributable,
        label_map=label_map,
        language=options.language,
    )
    config = MULTI_TURN if any(len(one.turns) > 1 for one in dialogues) else SINGLE_TURN
    return FoundCorpus(about, config, tuple(dialogues), names, left_out(dropped), (record_file(table, data),))


def _label_map(text: str) -> Mapping[str, str]:
    given = {_label(own): label for own, label in parse_arguments(text).items()}
    for own, label in given.items():
        if label not in EMOTIONS:
            raise UsageError(f"label_map: {own}={label}: {label!r} is none of the emotions{hint(label, EMOTIONS)}")
    return {**{label: label for label in EMOTIONS}, **given}


def _label(text: str) -> str:
    """A label as it is compared: lower case, and class numbers without the fraction of a float."""
    number = whole_number(text)
    return text.lower() if number is None else str(number)


def _no_such_label(table: str, rows: Sequence[_Row], label_map: Mapping[str, str]) -> ReleaseError:
    if not rows:
        return ReleaseError(f"{table}: expected a row for each clip below the names of the columns; add the rows")
    found = Counter(row.label for row in rows)
    shown = ", ".join(label or "nothing" for label, _ in found.most_common(8))
    example = "0=neutral,1=happy" if any(label.isdecimal() for label in found) else "joy=happy"
    return ReleaseError(
        f"{table}: expected clips with a label of {', '.join(label_map)} in column 'emotion', found none among "
        f"{len(rows)} rows, but {shown}; translate them with label_map, such as {example}"
    )


def _choose_table(source: Source, names: Sequence[str], named: str) -> str:
    # In an archive the top may be a folder or two further down.
    found = [name for name in names if name.lower().endswith((".csv", ".tsv", ".jsonl"))]
    if named:
        chosen = [name for name in found if name == named or name.endswith(f"/{named}")]
    else:
        top = min((len(PurePosixPath(name).parts) for name in found), default=0)
        chosen = [name for name in found if len(PurePosixPath(name).parts) == top]
    if len(chosen) != 1:
        others = [name for name in names if name.lower().endswith(_OTHER_TABLES)][:5]
        advice = f"save {', '.join(others)} as CSV" if others and not found else "name it with --table"
        raise ReleaseError(
            f"{source}: expected one table (.csv, .tsv or .jsonl) with a row for each clip, found {len(chosen)}"
            f"{': ' + ', '.join(chosen[:5]) if chosen else ''}; {advice}"
        )
    return chosen[0]


def _rows(source: Source, table: str, data: bytes, names: Sequence[str]) -> list[_Row]:
    folder = PurePosixPath(table).parent
    seen: set[str] = set()
    rows = []
    known, in_any_case = _from_root(source, names), _by_folded_case(names)
    for where, cells in _cells(table, data):
        meant = [str(folder / path) for path in path_spellings(cells["path"])]
        spelled = [known.get(path) or in_any_case.get(path.casefold()) for path in meant]
        found = next(filter(None, spelled), None)
        clip = found or meant[0]
        if clip in seen:
            raise ReleaseError(f"{where}: {clip!r} is there twice; correct the path")
        seen.add(clip)
        name = cells["path"].replace("\\", "/")
        if name.startswith("/") and found:
            inside = PurePosixPath(clip).is_relative_to(folder)
            name = str(PurePosixPath(clip).relative_to(folder)) if inside else clip
        rows.append(_row(where, name, clip, found is not None, cells))
    if rows and not any(row.is_there for row in rows):
        raise ReleaseError(f"{rows[0].where}: {rows[0].clip!r} is no file, nor is any other of the table; {_MISSING}")
    return rows


def _from_root(source: Source, names: Sequence[str]) -> dict[str, str]:
    """Files by their names, and those of a folder also by their paths from the root of this machine."""
    known = {name: name for name in names}
    if isinstance(source.files, LocalFiles) and source.files.root.is_dir():
        root = source.files.root.absolute().as_posix()
        known.update({f"{root}/{name}": name for name in names})
    return known


def _by_folded_case(names: Sequence[str]) -> dict[str, str]:
    """Files by their names in lower case, which are one to Windows and macOS; without those that only case tells
    apart."""
    counts = Counter(map(str.casefold, names))
    return {name.casefold(): name for name in names if counts[name.casefold()] == 1}


def _row(where: str, path: str, clip: str, is_there: bool, cells: Mapping[str, str]) -> _Row:
    if not cells["speaker"]:
        raise ReleaseError(f"{where}: expected a speaker, found nothing; give each person a name")
    if cells["role"] not in ("", "user", "assistant"):
        raise ReleaseError(f"{where}: expected the role user or assistant, found {cells['role']!r}; correct it")
    turn = whole_number(cells["turn"])
    if bool(cells["dialogue"]) != bool(cells["turn"]) or (cells["turn"] and turn is None):
        raise ReleaseError(f"{where}: a turn of a dialogue needs both: dialogue, and turn as a number; correct the row")
    return _Row(
        where=where,
        path=path,
        clip=clip,
        is_there=is_there,
        speaker=cells["speaker"],
        text=cells["text"],
        label=_label(cells["emotion"]),
        part=parse_part(cells["part"], where) if cells["part"] else "test",
        dialogue=cells["dialogue"],
        turn=turn,
        role=cells["role"],
    )


def _cells(table: str, data: bytes) -> list[tuple[str, dict[str, str]]]:
    """Each row's file and line, and its cells by column; empty where it has none."""
    text = decode_text(data, table)
    if table.lower().endswith(".jsonl"):
        return [
            (f"{table}:{line}", _object(f"{table}:{line}", row))
            for line, row in enumerate(text.split("\n"), 1)
            if row.strip()
        ]
    parsed = parse_table(Path(table), text, ",")
    for name in ("path", "emotion", "speaker"):
        parsed.find(name)
    return [(f"{table}:{row.line}", {name: parsed.text(row, name) for name in _COLUMNS}) for row in parsed.rows]


def _object(where: str, text: str) -> dict[str, str]:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise ReleaseError(f"{where}: not JSON ({error}); correct the line") from error
    if not isinstance(row, dict) or not {"path", "emotion", "speaker"} <= row.keys():
        raise ReleaseError(f"{where}: expected an object with path, emotion and speaker; correct the line")
    # A NaN, which is unequal to itself, is how pandas writes an empty cell.
    return {
        name: str(value).strip() if (value := row.get(name)) == value and value is not None else "" for name in _COLUMNS
    }


def _dialogue_rows(rows: Sequence[_Row]) -> dict[str, list[tuple[_Row, str]]]:
    """Rows with their roles by dialogue, in order of turns; a clip alone is a dialogue named by its path."""
    grouped: dict[str, list[_Row]] = {}
    for row in rows:
        name = row.dialogue or str(PurePosixPath(row.path).with_suffix(""))
        group = grouped.setdefault(name, [])
        if group and not (row.dialogue and group[0].dialogue):
            raise ReleaseError(
                f"{row.where}: {row.path!r} would have the id {name!r} as {group[0].path!r} of "
                f"{group[0].where} has; rename the clip that stands alone, or the dialogue"
            )
        group.append(row)
    talks = {}
    for name, group in grouped.items():
        ordered = sorted(group, key=lambda row: row.turn or 0)
        turns = [row.turn for row in ordered]
        twice = next((row for row, before in zip(ordered[1:], turns, strict=False) if row.turn == before), None)
        if twice is not None:
            raise ReleaseError(f"{twice.where}: turn {twice.turn} of {name!r} is there twice; number the turns")
        first = ordered[0].speaker
        talks[name] = [(row, row.role or ("user" if row.speaker == first else "assistant")) for row in ordered]
        if talks[name][0][1] != "user":
            raise ReleaseError(f"{ordered[0].where}: the first turn of {name!r} must be the user's; correct the roles")
        if len({row.part for row in ordered}) > 1:
            raise ReleaseError(f"{ordered[0].where}: the turns of {name!r} are in several parts; choose one")
    return talks


def _recording(source: Source, row: _Row) -> ClipSource:
    if row.is_there:
        return clip_source(source, row.clip)
    return unusable_file(row.clip, f"is no file, and {row.where} names it; {_MISSING}")


def _dialogue(
    source: Source, name: str, talk: Sequence[tuple[_Row, str]], label_map: Mapping[str, str]
) -> FoundDialogue:
    turns = tuple(
        FoundTurn(
            "user" if role == "user" else "assistant",
            row.speaker,
            row.text,
            label_map.get(row.label),
            _recording(source, row),
        )
        for row, role in talk
    )
    return FoundDialogue(name, talk[0][0].part, turns)
