"""From the rows of a table to dialogues, by the columns that a task names; with every problem of the rows at once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, cast

from avemo_harness.benchmark.columns import ColumnsSpec
from avemo_harness.benchmark.release import Clip, Dialogue, Role, Turn
from avemo_harness.benchmark.release_rows import MAX_TURNS
from avemo_harness.benchmark.table_files import TableRow
from avemo_harness.benchmark.table_media import (
    MEDIA,
    ClipMaker,
    Embedded,
    MediaReader,
    Recording,
    WrongCellError,
    kind_of,
)
from avemo_harness.benchmark.task import LETTERS
from avemo_harness.benchmark.template import render_row, row_names
from avemo_harness.errors import ReleaseError, TaskError
from avemo_harness.registry import hint

MAX_LISTED = 50
"""Problems of a table that are listed."""
_SHOWN = "shown."
"""Before the name of a value of `ColumnsSpec.shown`, where it stands among the columns."""
_MIXED = ("label", "answer", "dialogue", "speaker", "id")
"""Columns whose values must all be texts, or all be numbers: 1 and "1" would be taken for the same."""
ABSENT = object()


@dataclass
class _Problems:
    """Problems of a table's rows, of which the first `MAX_LISTED` are kept."""

    listed: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, sentence: str) -> None:
        self.count += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(sentence)

    def refuse(self) -> None:
        """Raise all problems as one ReleaseError, where there are any."""
        if self.count:
            more = self.count - len(self.listed)
            raise ReleaseError("\n".join([*self.listed, *([f"and {more:,} more"] if more else [])]))


@dataclass(frozen=True, slots=True)
class _Utterance:
    """A row's turn before its recordings are read.

    Args:
        order: by the column `turn`; 0 where there is none.
        options: of a choice, texts or recordings.
        reply: of the assistant to it; empty where there is none.
    """

    where: str
    order: float
    turn: Turn
    sound: Recording | None
    video: Recording | None
    options: tuple[str | Recording, ...]
    reply: str
    language: str
    licence: str


class RowReader:
    """Makes dialogues of the rows of a table.

    Args:
        source: how errors call the table.
        title: how its dialogues call it.
        licence: of dialogues whose rows name none, as `language`.
    """

    def __init__(
        self,
        source: str,
        columns: ColumnsSpec,
        media: MediaReader,
        *,
        title: str = "",
        licence: str = "",
        language: str = "",
    ) -> None:
        self.source, self.columns, self.media, self.title = source, columns, media, title
        self.licence, self.language = licence, language
        self._problems = _Problems()
        self._texts: dict[str, str] = columns.model_dump(exclude_none=True, exclude={"shown"})
        self._texts |= {_SHOWN + name: text for name, text in columns.shown.items()}
        self._templates = {name: row_names(text) for name, text in self._texts.items() if "{" in text}
        self._found: set[str] = set()
        self._names: dict[str, None] = {}
        self._kinds: dict[str, tuple[str, str]] = {}
        self._hidden = columns.hidden
        self._grouped: dict[str, list[_Utterance]] = {}

    def read(self, rows: Iterable[TableRow], *, cut: bool = False) -> None:
        """Take in all rows.

        Args:
            cut: more rows follow, which are not read, so that the last dialogue is not whole.

        Raises:
            ReleaseError: there is no row, or lists everything that is wrong with them.
        """
        last = None
        number = -1
        for number, row in enumerate(rows):
            if row.problem is None:
                last = self._take(number, row)
            else:
                self._problems.add(f"{row.where}: {row.problem}")
        if number < 0:
            raise ReleaseError(f"{self.source}: the table holds no rows")
        self._require_columns()
        self._problems.refuse()
        if cut and self.columns.dialogue is not None and last is not None and len(self._grouped) > 1:
            del self._grouped[last]
        for name, utterances in self._grouped.items():
            self._check(name, utterances)
        self._problems.refuse()

    def dialogues(self, clips: ClipMaker) -> list[Dialogue]:
        """The dialogues of what was read, with their recordings."""
        return [self._dialogue(name, utterances, clips) for name, utterances in self._grouped.items()]

    def _take(self, number: int, row: TableRow) -> str | None:
        """Take in a row; returns the name of its dialogue, None where it has none."""
        for column, value in row.values.items():
            self._names[column] = None
            if isinstance(value, Mapping):
                self._names |= dict.fromkeys(f"{column}.{key}" for key in value)
        named_by = "dialogue" if self.columns.dialogue is not None else "id"
        name = self._text(named_by, row.values, row.where)
        if named_by in self._texts and name is None:
            if named_by in self._found:
                self._add(row.where, named_by, "must name the dialogue, found nothing")
            return None
        name = str(number) if name is None else name
        known = self._grouped.setdefault(name, [])
        if self.columns.turns is None:
            if known and self.columns.dialogue is None:
                self._add(row.where, named_by, f"holds {name!r}, which is in {known[0].where} too; ids must be unique")
            known.append(self._utterance(row.values, row.where))
            return name
        if known:
            self._add(row.where, named_by, f"holds {name!r}, which is in {known[0].where} too; ids must be unique")
        records = self._records(row)
        for index, record in enumerate(records):
            self._names |= dict.fromkeys(record)
            known.append(self._utterance({**row.values, **record}, f"{row.where}, turn {index}"))
        return name

    def _records(self, row: TableRow) -> list[Mapping[str, Any]]:
        value = self._cell("turns", row.values, row.where)
        if isinstance(value, Mapping) and value and all(isinstance(part, list) for part in value.values()):
            # A sequence of records, as `datasets` stores it.
            value = [dict(zip(value, parts, strict=False)) for parts in zip(*value.values(), strict=False)]
        if isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
            return value
        if value is not None or "turns" in self._found:
            self._add(row.where, "turns", f"must hold a list of records, one a turn, found {_described(value)}")
        return []

    def _utterance(self, values: Mapping[str, Any], where: str) -> _Utterance:
        options = self._options(values, where)
        role = (self._text("role", values, where) or "user").lower()
        if role not in ("user", "assistant"):
            self._add(where, "role", f"must hold user or assistant, found {role!r}")
        turn = Turn(
            turn_index=0,
            role=cast(Role, role),
            speaker_id=self._text("speaker", values, where) or role,
            text=self._text("text", values, where) or "",
            emotion=self._text("label", values, where),
            answer=self._answer(values, where, options),
            row=self._row(values, where),
        )
        return _Utterance(
            where,
            self._order(values, where),
            turn,
            self._recording("sound", values, where),
            self._recording("video", values, where),
            options,
            self._text("reply", values, where) or "",
            self._text("language", values, where) or self.language,
            self._text("licence", values, where) or self.licence,
        )

    def _row(self, values: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Values of a row that questions may use: its single values, and those that the columns show."""
        row = {name: value for name, raw in values.items() if (value := self._shown(name, raw)) is not ABSENT}
        return row | {name: self._text(_SHOWN + name, values, where) for name in self.columns.shown}

    def _shown(self, name: str, value: Any) -> Any:
        """A value that templates of the task may use; `ABSENT` where they may not, or it is no single value."""
        if name in self._hidden or isinstance(value, Mapping | list | tuple | bytes | Embedded):
            return ABSENT
        return value if value is None or isinstance(value, str | int | float | bool) else str(value)

    def _cell(self, column: str, values: Mapping[str, Any], where: str) -> Any:
        """Value of a row in a column; None where it has none."""
        text = self._texts.get(column)
        if text is None:
            return None
        if column in self._templates:
            # A cell without a value is no text, and shows as none.
            filled = {name: "" if value is None else value for name, value in values.items()}
            lacking = dict.fromkeys(self._templates[column] - filled.keys(), "")
            try:
                return render_row(text, {**lacking, **filled}).strip() or None
            except TaskError as error:
                self._problems.add(f"{where}: columns.{column}: {error}")
                return None
        found = value_at(values, text)
        if found is ABSENT:
            return None
        self._found.add(column)
        return None if found == "" or (isinstance(found, float) and math.isnan(found)) else found

    def _text(self, column: str, values: Mapping[str, Any], where: str) -> str | None:
        """A cell as text, numbers in digits; None where it is empty."""
        value = self._cell(column, values, where)
        if value is None:
            return None
        text = as_text(value)
        if text is None:
            self._add(where, column, f"must hold a text or a number, found {_described(value)}")
        elif column in _MIXED:
            self._note_kind(column, kind_of(value), where)
        return text

    def _note_kind(self, column: str, kind: str, where: str) -> None:
        first, seen_at = self._kinds.setdefault(column, (kind, where))
        if first != kind:
            self._add(where, column, f"holds {kind}, and {first} in {seen_at}; write all values alike")
            self._kinds[column] = (kind, where)

    def _order(self, values: Mapping[str, Any], where: str) -> float:
        if self.columns.turn is None:
            return 0.0
        text = self._text("turn", values, where)
        try:
            return float(text or "")
        except ValueError:
            if "turn" in self._found or "turn" in self._templates:
                self._add(where, "turn", f"must hold the turn's number, found {text!r}" if text else "holds no number")
            return 0.0

    def _recording(self, column: str, values: Mapping[str, Any], where: str) -> Recording | None:
        try:
            return self.media.recording(self._cell(column, values, where))
        except WrongCellError as error:
            self._add(where, column, str(error))
            return None

    def _options(self, values: Mapping[str, Any], where: str) -> tuple[str | Recording, ...]:
        value = self._cell("choices", values, where)
        if isinstance(value, str):
            value = _list_of_text(value)
        if isinstance(value, Mapping) and not {"bytes", "path"} & value.keys():
            value = list(value.values())
        if value is None:
            return ()
        if not isinstance(value, list):
            self._add(where, "choices", f"must hold a list of texts or recordings, found {_described(value)}")
            return ()
        texts = [None if isinstance(option, bool) else as_text(option) for option in value]
        told = [text for text in texts if text is not None]
        if len(told) == len(value) and not all(text.lower().endswith(MEDIA) for text in told):
            return tuple(told)
        try:
            recordings = [self.media.recording(option) for option in value]
        except WrongCellError as error:
            self._add(where, "choices", f"must hold texts alone, or recordings alone: an option {error}")
            return ()
        if None in recordings:
            self._add(where, "choices", "holds an empty option")
        return tuple(recording for recording in recordings if recording is not None)

    def _answer(self, values: Mapping[str, Any], where: str, options: Sequence[str | Recording]) -> str | None:
        text = self._text("answer", values, where)
        if text is None or self.columns.choices is None or not options:
            return text
        found = _index_of(text, options)
        if found is None:
            told = ", ".join(repr(option) for option in options if isinstance(option, str))
            last = LETTERS[min(len(options), len(LETTERS)) - 1]
            among = f" or one of {told}" if told else ""
            wanted = f"must hold a letter from A to {last}, a number from 0 to {len(options) - 1}{among}"
            self._add(where, "answer", f"{wanted}, found {text!r}")
            return None
        return str(found)

    def _add(self, where: str, column: str, sentence: str) -> None:
        self._problems.add(f"{where}: column {self._texts[column]!r} (columns.{column}) {sentence}")

    def _require_columns(self) -> None:
        """Refuse columns that no row has; everything else that is wrong may follow from that."""
        missing = _Problems()
        known = list(self._names)
        shown = ", ".join(known[:MAX_LISTED])
        # Without the lists of turns nothing is known of the columns in them.
        turns = {"turns"} & self._texts.keys() - self._found
        for column, text in self._texts.items():
            if turns and column not in turns:
                continue
            lacking = sorted(self._templates.get(column, set()) - set(known))
            if not (column in self._templates or column in self._found or text in self._names):
                lacking = [text]
            for name in lacking:
                near = hint(name, known)
                missing.add(f"{self.source}: there is no column {name!r} (columns.{column}){near}; columns: {shown}")
        # A table of which no row can be read has no columns either.
        if known:
            missing.refuse()

    def _check(self, name: str, utterances: list[_Utterance]) -> None:
        """Put the turns of a dialogue into order and see that they make one."""
        if self.columns.turn is not None:
            utterances.sort(key=lambda utterance: utterance.order)
            for before, after in pairwise(utterances):
                if before.order == after.order:
                    self._add(
                        after.where,
                        "turn",
                        f"holds {after.order:g}, as {before.where} of the same dialogue {name!r} does",
                    )
        if utterances and utterances[0].turn.role != "user":
            self._add(utterances[0].where, "role", "must hold user for the first turn of a dialogue")
        count = len(utterances) + sum(bool(utterance.reply) for utterance in utterances)
        if count > MAX_TURNS:
            self._problems.add(
                f"{utterances[0].where}: a dialogue may have at most {MAX_TURNS:,} turns, found {count:,} of {name!r}; "
                "split it"
            )

    def _dialogue(self, name: str, utterances: Sequence[_Utterance], clips: ClipMaker) -> Dialogue:
        turns: list[Turn] = []
        for said in utterances:
            options = tuple(
                option if isinstance(option, str) else clips.clip(option, f"{said.where}, option {number}")
                for number, option in enumerate(said.options)
            )
            clip: Clip | None = clips.turn(said.sound, said.video, said.where)
            turns.append(replace(said.turn, turn_index=len(turns), clip=clip, choices=options))
            if said.reply:
                turns.append(Turn(len(turns), "assistant", "assistant", said.reply))
        first = utterances[0]
        return Dialogue(name, self.title, first.language, first.licence, tuple(turns))


def value_at(values: Mapping[str, Any], path: str) -> Any:
    """The value of a column, or at a path into its records; `ABSENT` where there is none."""
    if path in values:
        return values[path]
    name, dot, rest = path.partition(".")
    while dot:
        inner = values.get(name)
        if isinstance(inner, Mapping):
            return value_at(inner, rest)
        if name in values:
            # Nothing is in a record that is not there.
            return None if inner is None else ABSENT
        more, dot, rest = rest.partition(".")
        name = f"{name}.{more}"
    return ABSENT


def as_text(value: Any) -> str | None:
    """A single value as text; None for lists, records and bytes."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None if value is None or isinstance(value, Mapping | list | tuple | bytes | Embedded) else str(value)


def _described(value: Any) -> str:
    """A value and its kind for a message.

    >>> _described([1, 2]), _described({"a": 1}), _described("x")
    ('a list of 2', "a record of 'a'", "'x'")
    """
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"a record of {', '.join(map(repr, value))}"
    return repr(value)[:80] if isinstance(value, str | int | float) else kind_of(value)


def _list_of_text(text: str) -> Any:
    """The options that a text lists: in JSON, or one a line."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines if len(lines) > 1 else text


def _index_of(answer: str, options: Sequence[str | Recording]) -> int | None:
    """The place of the true answer among the options, from 0: by its text, its letter or its number.

    >>> [_index_of(answer, ["yes", "no"]) for answer in ("no", "B", "(b)", "1", "C", "2")]
    [1, 1, 1, 1, None, None]
    """
    if options.count(answer) == 1:
        return options.index(answer)
    bare = answer.strip("(). ").upper()
    if len(bare) == 1 and bare in LETTERS[: len(options)]:
        return LETTERS.index(bare)
    if bare.isdecimal() and bare.isascii() and int(bare[:4]) < len(options):
        return int(bare[:4])
    return None
