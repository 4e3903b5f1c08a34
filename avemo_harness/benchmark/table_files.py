"""Files of a table and their rows; numbers of classes as their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from avemo_harness.benchmark.release_sources import ParquetSource


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row by its columns; bytes are read when they are asked for.

    Args:
        where: file and row, for errors: the line of a text file from 1, the row of any other from 0.
        problem: why the row cannot be read; None where it can.
    """

    where: str
    values: Mapping[str, Any]
    problem: str | None = None


class RowError(Exception):
    """A row cannot be read."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file of a table.

    Args:
        name: how errors call it.
        key: names its content, as that of `Embedded` does; found when it is asked for.
        source: how it is opened; all but Parquet by a path.
        split: the part of the table that is asked for, where the file holds several.
    """

    name: str
    key: Callable[[], str]
    source: ParquetSource
    split: str = ""

    @property
    def ending(self) -> str:
        return PurePosixPath(self.name).suffix.lower()

    def path(self) -> Path:
        with self.source.guard():
            return Path(self.source.open())


Features = Mapping[str, Any]
"""Columns as `datasets` describes them, and writes it into Parquet files."""


def with_names(rows: Iterable[TableRow], features: Features) -> Iterator[TableRow]:
    """The rows with names for numbers of classes."""
    classes = classes_of(features)
    return (with_names_of(row, classes) for row in rows)


def with_names_of(row: TableRow, classes: Features) -> TableRow:
    """A row with names for the numbers of its columns of `classes_of`; a number without a name is its problem."""
    try:
        named = {name: _named(row.values[name], classes[name]) for name in classes if name in row.values}
    except RowError as error:
        return TableRow(row.where, row.values, str(error))
    return TableRow(row.where, {**row.values, **named}, row.problem) if named else row


def classes_of(features: Features) -> Features:
    """The columns that hold numbers of classes, at any depth."""
    return {name: feature for name, feature in features.items() if _has_classes(feature)}


def _has_classes(feature: Any) -> bool:
    if isinstance(feature, Mapping):
        return feature.get("_type") == "ClassLabel" or any(map(_has_classes, feature.values()))
    return isinstance(feature, list) and any(map(_has_classes, feature))


def _named(value: Any, feature: Any) -> Any:
    """A value whose class numbers are replaced by names, at any depth; -1 stands for no class."""
    if value is None or not isinstance(feature, Mapping | list):
        return value
    if isinstance(feature, list):
        feature = {"_type": "List", "feature": feature[0] if feature else None}
    if feature.get("_type") == "ClassLabel":
        names: Sequence[str] | None = feature.get("names")
        if names is None or not isinstance(value, int):
            return value
        if not -1 <= value < len(names):
            raise RowError(f"there is no class {value}; the {len(names)} classes, from 0, are {', '.join(names)}")
        return None if value == -1 else names[value]
    if "feature" in feature and "_type" in feature:
        inner = feature["feature"]
        if isinstance(value, list):
            return [_named(part, inner) for part in value]
        # A sequence of records is stored as a record of lists.
        inner = inner if isinstance(inner, Mapping) else {}
        return {key: _named(part, [inner.get(key)]) for key, part in value.items()}
    if isinstance(value, Mapping):
        return {key: _named(part, feature.get(key)) for key, part in value.items()}
    return value
