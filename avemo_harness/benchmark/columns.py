"""Data set of a task, and the roles of a table's columns."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from avemo_harness.benchmark.corpora import CORPUS_NAME
from avemo_harness.benchmark.spec import Spec, Words, as_tuple, problems_below
from avemo_harness.benchmark.template import row_names, row_template_problem


def _column(text: str) -> str:
    if wrong := row_template_problem(text):
        raise ValueError(wrong)
    return text


Column = Annotated[str, Field(min_length=1), AfterValidator(_column)]
"""Name of a column, path into its records such as `context.audio`, or a template over `row` with `{{ }}`."""


def is_hub_id(path: str) -> bool:
    """Tell whether a path may be the id of a data set on the Hub; the endings of tables are those of files.

    >>> is_hub_id("lab/emotions"), is_hub_id("clips/test.csv"), is_hub_id("./emotions")
    (True, False, False)
    """
    return (
        re.fullmatch(r"[\w.-]+/[\w.-]+", path) is not None
        and not path.startswith(".")
        and not path.endswith((*TABLES, ARRAYS))
    )


LINES = (".jsonl", ".ndjson", ".json")
TEXT = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
TABLES = (".parquet", *LINES, *TEXT, ".tar")
"""Endings of files that are tables; of texts, with what is usual between their cells."""
ARRAYS = ".npz"
"""Ending of NumPy's archives, which are tables where a task names them; in folders of recordings they hold features."""


_TELLING = ("label", "answer", "reply")
_RECORDED = ("sound", "video", "choices")


def _names_in(text: str) -> frozenset[str]:
    """The columns that a column is made of: itself, unless it is a template."""
    return row_names(text) if "{" in text else frozenset({text})


def _overlap(column: str, other: str) -> bool:
    """Tell whether two columns are one, or one lies in the records of the other.

    >>> _overlap("meta", "meta.label"), _overlap("meta.said", "meta.label")
    (True, False)
    """
    return column == other or f"{column}.".startswith(f"{other}.") or f"{other}.".startswith(f"{column}.")


class ColumnsSpec(Spec):
    """Columns of a table by what they hold."""

    later: ClassVar[frozenset[str]] = frozenset({"shown"})

    sound: Column | None = None
    """Recording to hear: bytes, path, `datasets.Audio`, or a file inside an archive as `archive.zip::name`."""
    video: Column | None = None
    """Recording to see, with its sound unless `sound` names another."""
    text: Column | None = None
    """Transcript."""
    label: Column | None = None
    """The true label, in the words of the corpus; class numbers stand for their names."""
    answer: Column | None = None
    """The true answer: of a choice, its letter, number from 0 or text; else a text or a number."""
    choices: Column | None = None
    """The options of a choice: a list of texts, or of recordings."""
    speaker: Column | None = None
    """Name or number of the speaker."""
    dialogue: Column | None = None
    """Rows with the same value are turns of one dialogue; without it, each row is one."""
    turn: Column | None = None
    """Order of the turns of a dialogue; by default that of the rows."""
    role: Column | None = None
    """`user` or `assistant`; by default every turn is the user's."""
    reply: Column | None = None
    """The assistant's reply to the turn, as text."""
    language: Column | None = None
    """Code such as en; a template of plain text gives all rows the same."""
    licence: Column | None = None
    """Licence of a row's recordings."""
    id: Column | None = None
    """Name of the dialogue where `dialogue` is not given; by default its number."""
    turns: Column | None = None
    """List of records, one a turn, of a dialogue a row; columns of turns are then looked for in these records."""
    shown: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Column] = Field(default={})
    """Further values for questions, which use them as `row.NAME`: what lies in records, or is made by a template."""

    def __hash__(self) -> int:
        # A dict of `shown` has no hash of its own.
        return hash(self.model_dump_json())

    @property
    def hidden(self) -> frozenset[str]:
        """Columns that no question may use: they tell the answer, or hold recordings."""
        told = [_names_in(text) for role in _TELLING if (text := getattr(self, role)) is not None]
        media = [{text} for role in _RECORDED if (text := getattr(self, role)) is not None]
        return frozenset().union(*told, *media)

    @model_validator(mode="after")
    def _shows_no_answer(self) -> ColumnsSpec:
        problems = []
        for name, text in self.shown.items():
            told = [column for column in _names_in(text) for other in self.hidden if _overlap(column, other)]
            if told:
                problems.append((("shown", name), f"uses {min(told)!r}, which tells the answer or holds a recording"))
        if problems:
            raise problems_below(problems)
        return self


class RowsSpec(Spec):
    """Rows of a table by what a column says."""

    column: Column
    """Its name, or a template over `row`."""
    values: Annotated[Words, Field(min_length=1)]
    """Texts of which it has one."""


def _without_required_name(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema.get("required", ()) if name != "name"]


class DatasetSpec(Spec):
    """Rows that the task asks about: of a release, or with `columns` of any table."""

    model_config = ConfigDict(json_schema_extra=_without_required_name)
    later: ClassVar[frozenset[str]] = frozenset({"columns", "corpus", "recordings", "rows"})

    corpus: Annotated[str, Field(pattern=CORPUS_NAME)] | None = None
    """Name of a folder that the user has: a release, or with `columns` where `path` begins."""
    path: str | None = None
    """Hub id, folder or file; `builtin:demo` for the built-in demo; without it, the configured release.
    With `columns` also JSONL, CSV, a folder of files, or WebDataset tars, relative to this file; with `*` the files of
    such names, whose recordings' paths begin at the folder before it."""
    name: str
    """Config of the release, one of the benchmark's splits; of a table `default`, unless given."""
    split: str = "test"
    """Data set split."""
    revision: str | None = None
    """Hub revision to pin."""
    columns: ColumnsSpec | None = None
    """Columns of a table that is no release."""
    recordings: str | None = None
    """Folder inside the corpus that must be there too, where its lists come without their recordings."""
    rows: Annotated[tuple[RowsSpec, ...], BeforeValidator(as_tuple)] = ()
    """Of a table, the rows that the task is about, where these are not a split: those that fit all entries."""

    @model_validator(mode="before")
    @classmethod
    def _name_of_table(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("columns") is not None and "name" not in values:
            return {**values, "name": "default"}
        return values

    @model_validator(mode="after")
    def _within_corpus(self) -> DatasetSpec:
        if self.corpus is None:
            return self
        problems = []
        if self.revision is not None:
            problems.append((("revision",), "is of the Hub; the folder of a corpus has none"))
        if self.path is not None and self.columns is None:
            problems.append((("path",), "without columns the corpus' folder is the release itself; leave it out"))
        elif self.path is not None and not _lies_inside(self.path):
            problems.append((("path",), "must be the path of a table or folder inside the corpus' folder"))
        if self.recordings is not None and not _lies_inside(self.recordings):
            problems.append((("recordings",), "must be the path of a folder inside the corpus' folder"))
        if problems:
            raise problems_below(problems)
        return self


def _lies_inside(path: str) -> bool:
    """Tell whether a path leads nowhere but into the folder that it begins at.

    >>> _lies_inside("labels/test.csv"), _lies_inside("../test.csv"), _lies_inside("~/test.csv"), _lies_inside("/a.csv")
    (True, False, False, False)
    """
    parts = PurePosixPath(path)
    return not (parts.is_absolute() or ".." in parts.parts or path.startswith("~"))
