"""Columns of a table as they are seen: what kind of values each holds, by its feature and by its first values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from avemo_harness.benchmark.table_media import MEDIA, VIDEOS, Embedded
from avemo_harness.errors import MediaError

Kind = Literal["sound", "video", "class", "text", "number", "list", "record", "other"]

_OF_FEATURE: Mapping[str, Kind] = {"Audio": "sound", "Video": "video", "ClassLabel": "class"}
_LISTS = ("List", "LargeList", "Sequence")


@dataclass(frozen=True, slots=True)
class SeenColumn:
    """A column, or a field of its records.

    Args:
        path: its name; of a field, the names down to it with dots between.
        kind: of its values.
        evidence: in words, what tells the kind.
        values: those seen, without nulls.
        classes: names of a `class`.
        fields: of a `record`.
        entries: of a `list`, all of its entries as one column.
    """

    path: str
    kind: Kind
    evidence: str
    values: tuple[Any, ...] = ()
    classes: tuple[str, ...] = ()
    fields: tuple[SeenColumn, ...] = ()
    entries: SeenColumn | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    def leaves(self) -> Iterator[SeenColumn]:
        """The column itself, or the fields at the end of its records."""
        if self.kind != "record":
            yield self
        for field in self.fields:
            yield from field.leaves()


def see_columns(features: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> tuple[SeenColumn, ...]:
    """See the columns of a table.

    Args:
        features: as `datasets.Features.to_dict` writes them; columns that it lacks are known by their values alone.
        rows: the first ones, as `avemo_harness.benchmark.tables` reads them: media as bytes, path, or a record of both.
    """
    names = dict.fromkeys([*features, *(name for row in rows for name in row)])
    return tuple(_see(name, features.get(name), [row.get(name) for row in rows]) for name in names)


def _see(path: str, feature: Any, found: Sequence[Any]) -> SeenColumn:
    values = tuple(value for value in found if value is not None)
    if isinstance(feature, Mapping) and isinstance(feature.get("_type"), str):
        kind = feature["_type"]
        if kind in _OF_FEATURE:
            classes = tuple(map(str, feature.get("names") or ())) if kind == "ClassLabel" else ()
            evidence = f"{len(classes)} class labels" if classes else f"{kind} feature"
            return SeenColumn(path, _OF_FEATURE[kind], evidence, values, classes)
        if kind in _LISTS:
            return _list(path, feature.get("feature"), values)
        return _by_values(path, values, str(feature.get("dtype") or ""))
    if isinstance(feature, list) and feature:
        return _list(path, feature[0], values)
    if isinstance(feature, Mapping) and not _is_medium(feature):
        return _record(path, feature, values)
    return _by_values(path, values)


def _by_values(path: str, values: tuple[Any, ...], dtype: str = "") -> SeenColumn:
    """A column whose feature tells no more than a type, if there is one at all."""
    if values and all(isinstance(value, list | tuple) for value in values):
        return _list(path, None, values)
    if values and all(isinstance(value, Mapping) for value in values) and not all(map(_is_medium, values)):
        return _record(path, {}, values)
    if (medium := _medium(values)) is not None:
        return SeenColumn(path, *medium, values)
    if dtype.startswith(("int", "uint", "float")) or (values and all(map(_is_number, values))):
        return SeenColumn(path, "number", "numbers", values)
    text = "string" in dtype if dtype else bool(values) and all(isinstance(value, str) for value in values)
    return SeenColumn(path, "text" if text else "other", "text" if text else "", values)


def _list(path: str, feature: Any, values: tuple[Any, ...]) -> SeenColumn:
    entries = [entry for value in values if isinstance(value, list | tuple) for entry in value]
    return SeenColumn(path, "list", "a list", values, entries=_see(path, feature, entries))


def _record(path: str, features: Mapping[str, Any], values: tuple[Any, ...]) -> SeenColumn:
    records = [value for value in values if isinstance(value, Mapping)]
    names = dict.fromkeys([*features, *(str(name) for record in records for name in record)])
    fields = (_see(f"{path}.{name}", features.get(name), [record.get(name) for record in records]) for name in names)
    return SeenColumn(path, "record", "a record", values, fields=tuple(fields))


def _is_medium(record: Mapping[str, Any]) -> bool:
    """True for a recording as `datasets` gives one undecoded."""
    return (
        bool(record) and record.keys() <= {"bytes", "path"} and not any(isinstance(v, Mapping) for v in record.values())
    )


_Medium = Literal["sound", "video"]


def _medium(values: tuple[Any, ...]) -> tuple[_Medium, str] | None:
    """The kind of recordings that values are, and what tells so; None where they are none."""
    paths = [value.get("path") if isinstance(value, Mapping) else value for value in values]
    endings = [PurePosixPath(path).suffix.lower() if isinstance(path, str) else "" for path in paths]
    if endings and set(endings) <= set(MEDIA):
        kind: _Medium = "video" if set(VIDEOS) & set(endings) else "sound"
        return kind, f"its recordings are {' or '.join(sorted(set(endings)))}"
    data = [value.get("bytes") if isinstance(value, Mapping) else value for value in values]
    first = data[0].read() if data and isinstance(data[0], Embedded) else data[0] if data else None
    return _probed(first) if isinstance(first, bytes) else None


def _probed(data: bytes) -> tuple[_Medium, str] | None:
    from avemo_harness import media

    try:
        info = media.probe(data)
    except MediaError:
        return None
    return ("video", "its first recording has a picture") if info.video else ("sound", "its first recording is sound")


def as_number(value: Any) -> float | None:
    """A finite number, also one that is written as text; None where it is none.

    >>> as_number("3.5"), as_number(True), as_number("nan")
    (3.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _is_number(value: Any) -> bool:
    return as_number(value) is not None
