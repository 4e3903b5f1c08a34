"""Tables of labelled clips, a row for each: read alike whether clips are imported or learned from."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import get_args

from avemo_harness.benchmark.release import Role
from avemo_harness.benchmark.text_tables import parse_table, path_spellings, whole_number
from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.placement import Intensity
from avemo_harness.recognizers.recordings import Part, parse_part

CORRECT_PATH = "correct the path, which begins at the table's folder"


@dataclass(frozen=True, slots=True)
class UncheckedRow:
    """A row as it is written.

    Args:
        where: file and line.
        label: as it is compared: lower case, and class numbers without the fraction of a float.
        cells: by column; empty where it has none.
    """

    where: str
    label: str
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClipTable:
    """A table, and the columns that its labels stand in: one, or several where lines of JSON differ."""

    name: str
    label_columns: tuple[str, ...]
    rows: tuple[UncheckedRow, ...]

    def no_such_label(self, labels: Iterable[str], advice: str) -> ReleaseError:
        """The error of a table without a row that has one of the labels; it counts what is there instead."""
        if not self.rows:
            return ReleaseError(
                f"{self.name}: expected a row for each clip below the names of the columns; add the rows"
            )
        found = Counter(row.label for row in self.rows)
        shown = ", ".join(label or "nothing" for label, _ in found.most_common(8))
        columns = " or ".join(map(repr, self.label_columns))
        return ReleaseError(
            f"{self.name}: expected clips with a label of {', '.join(labels)} in column {columns}, found none among "
            f"{len(self.rows)} rows, but {shown}; {advice}"
        )


@dataclass(frozen=True, slots=True)
class ClipRow:
    """A row with its file. Texts are empty, and other values None, where the row tells nothing.

    Args:
        where: file and line.
        path: as it is in the row.
        clip: name of the file, or where it would be.
        face: whose face is seen.
    """

    where: str
    path: str
    clip: str
    is_there: bool
    label: str
    speaker: str
    face: str
    text: str
    part: Part | None
    dialogue: str
    turn: int | None
    role: Role | None
    intensity: Intensity | None


def normalise_label(text: str) -> str:
    """A label as it is compared.

    >>> normalise_label("Happy"), normalise_label("2.0")
    ('happy', '2')
    """
    number = whole_number(text)
    return text.lower() if number is None else str(number)


def parse_clip_table(name: str, text: str, label_columns: Sequence[str], columns: Collection[str]) -> ClipTable:
    """Parse a table: JSON lines where its name ends so, else cells with commas, or whatever the header has, between.

    Args:
        name: how messages call the file.
        label_columns: names that labels may stand under, in the order in which they are looked for.
        columns: that are read beside path and speaker, of those that `ClipRow` has; others may hold anything.

    Raises:
        ReleaseError: the text is empty or not a table, or lacks a column.
    """
    objects: dict[str, Mapping[str, object]]
    if name.lower().endswith(".jsonl"):
        lines = {f"{name}:{number}": line for number, line in enumerate(text.split("\n"), 1) if line.strip()}
        objects = {where: _parse_object(where, line, label_columns) for where, line in lines.items()}
    else:
        table = parse_table(Path(name), text, ",")
        for names in (("path",), label_columns, ("speaker",)):
            table.find(*names)
        objects = {f"{name}:{row.line}": dict(zip(table.columns, row.cells, strict=True)) for row in table.rows}
    found = [label for label in label_columns if any(label in row for row in objects.values())]
    wanted = ("path", "speaker", *columns)
    return ClipTable(name, tuple(found), tuple(_row(where, row, found, wanted) for where, row in objects.items()))


def _parse_object(where: str, text: str, label_columns: Sequence[str]) -> Mapping[str, object]:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise ReleaseError(f"{where}: not JSON ({error}); correct the line") from error
    if not isinstance(row, dict) or not {"path", "speaker"} <= row.keys() or row.keys().isdisjoint(label_columns):
        raise ReleaseError(
            f"{where}: expected an object with path, {' or '.join(label_columns)}, and speaker; correct the line"
        )
    return row


def _row(where: str, row: Mapping[str, object], label_columns: Sequence[str], wanted: Iterable[str]) -> UncheckedRow:
    def cell(name: str) -> str:
        # A NaN, which is unequal to itself, is how pandas writes an empty cell.
        value = row.get(name)
        return str(value).strip() if value == value and value is not None else ""

    label = cell(next(name for name in label_columns if name in row))
    return UncheckedRow(where, normalise_label(label), {name: cell(name) for name in wanted})


def find_clips(rows: Iterable[UncheckedRow], folder: PurePath, find: Callable[[str], str | None]) -> list[ClipRow]:
    """The rows with their files and with values that are checked.

    Args:
        folder: of the table, where relative paths begin.
        find: gives the name of the file that a path leads to; None where there is none.

    Raises:
        ReleaseError: a row names a file that another has named, no speaker, or no such part, turn, role or intensity.
    """
    seen: set[str] = set()
    clips = []
    for row in rows:
        spellings = [str(folder / path) for path in path_spellings(row.cells["path"])]
        found = next(filter(None, map(find, spellings)), None)
        name = found or spellings[0]
        if name in seen:
            raise ReleaseError(f"{row.where}: {name!r} is there twice; correct the path")
        seen.add(name)
        clips.append(_clip(row, name, found is not None))
    return clips


def _clip(row: UncheckedRow, name: str, is_there: bool) -> ClipRow:
    where, cells = row.where, defaultdict(str, row.cells)
    if not cells["speaker"]:
        raise ReleaseError(f"{where}: expected a speaker, found nothing; give each person a name")
    role: Role | None = next((role for role in get_args(Role) if role == cells["role"]), None)
    if cells["role"] and role is None:
        raise ReleaseError(f"{where}: expected the role user or assistant, found {cells['role']!r}; correct it")
    turn = whole_number(cells["turn"])
    # Who reads turns needs them for every dialogue; others take a dialogue for what belongs together.
    incomplete = "turn" in row.cells and bool(cells["dialogue"]) != bool(cells["turn"])
    if incomplete or (cells["turn"] and turn is None):
        raise ReleaseError(f"{where}: a turn of a dialogue needs both: dialogue, and turn as a number; correct the row")
    return ClipRow(
        where=where,
        path=cells["path"],
        clip=name,
        is_there=is_there,
        label=row.label,
        speaker=cells["speaker"],
        face=cells["face"],
        text=cells["text"],
        part=parse_part(cells["part"], where) if cells["part"] else None,
        dialogue=cells["dialogue"],
        turn=turn,
        role=role,
        intensity=_intensity(cells["intensity"], where),
    )


def _intensity(text: str, where: str) -> Intensity | None:
    known: dict[str, Intensity] = {name: name for name in get_args(Intensity)}
    if text and text.lower() not in known:
        raise ReleaseError(
            f"{where}: expected the intensity {', '.join(known)}, or nothing, found {text!r}; correct it"
        )
    return known.get(text.lower())
