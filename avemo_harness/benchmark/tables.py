"""Rows of tables: Parquet, JSON, text with delimiters, tars of samples (WebDataset), and folders of recordings."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.columns import LINES, TEXT
from avemo_harness.benchmark.release_sources import (
    ParquetSource,
    check_group_size,
    open_parquet,
    readable_parquet,
)
from avemo_harness.benchmark.table_media import MEDIA, SOUNDS, Embedded, SharedArchive, kind_of
from avemo_harness.benchmark.text_tables import decode_text, read_beginning, read_table
from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.files import check_file, read_file

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Tables beside the files of an Audio- or VideoFolder."""
_BATCH_ROWS = 1_000


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


class _RowError(Exception):
    """A row cannot be read."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file of a table.

    Args:
        name: how errors call it.
        key: names its content, as that of `Embedded` does; found when it is asked for.
        source: how it is opened; all but Parquet by a path.
    """

    name: str
    key: Callable[[], str]
    source: ParquetSource

    @property
    def ending(self) -> str:
        return PurePosixPath(self.name).suffix.lower()

    def path(self) -> Path:
        with self.source.guard():
            return Path(self.source.open())


Features = Mapping[str, Any]
"""What `datasets` says of columns, as it writes it into Parquet files."""


def read_rows(file: TableFile, features: Features | None = None, first: int | None = None) -> Iterator[TableRow]:
    """Yield the rows of a file; numbers of classes as their names.

    Args:
        features: where they are known from elsewhere than the file.
        first: rows that are wanted at most; None for all.

    Raises:
        ReleaseError: it cannot be read as what its name says.
    """
    if file.ending == ".parquet":
        return _parquet_rows(file, features)
    if file.ending in LINES:
        rows = _json_rows(file)
    elif file.ending in TEXT:
        rows = _text_rows(file, first)
    else:
        assert file.ending == ".tar", file.ending
        rows = _tar_rows(file)
    return _with_names(rows, features or {})


def _with_names(rows: Iterable[TableRow], features: Features) -> Iterator[TableRow]:
    classes = {name: feature for name, feature in features.items() if _has_classes(feature)}
    return (_with_names_of(row, classes) for row in rows)


def _with_names_of(row: TableRow, classes: Features) -> TableRow:
    try:
        named = {name: _named(row.values[name], classes[name]) for name in classes if name in row.values}
    except _RowError as error:
        return TableRow(row.where, row.values, str(error))
    return TableRow(row.where, {**row.values, **named}, row.problem) if named else row


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
            raise _RowError(f"there is no class {value}; the {len(names)} classes, from 0, are {', '.join(names)}")
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


def _parquet_rows(file: TableFile, features: Features | None) -> Iterator[TableRow]:
    with open_parquet(file.source) as parquet:
        schema = parquet.schema_arrow
        leaves = [parquet.schema.column(number) for number in range(len(parquet.schema))]
        paths = [leaf.path for leaf in leaves]
        media = {
            leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and str(leaf.logical_type) == "None"
        }
        # Bytes need not be read for their rows to be known, unless nothing else tells where there are none.
        left = {path for path in media if _siblings(path, paths) - media or _never_null(parquet, path)}
        read = [path for path in paths if path not in left]
        kinds = {column.name: column.type for column in schema}
        with_bytes = {name: kind for name, kind in kinds.items() if _holds_bytes(kind)}
        features = _stated_features(schema) if features is None else features
        classes = {name: feature for name, feature in features.items() if _has_classes(feature)}
        first = 0
        for group in range(parquet.num_row_groups):
            check_group_size(parquet, group, read, file.source)
            cells = _GroupCells(file, group, sorted(media))
            key = file.key() if with_bytes else ""
            rows = _group_rows(file, group, read, parquet)
            for position, row in enumerate(rows):
                values = {name: row.get(name) for name in kinds}
                for name, kind in with_bytes.items():
                    make = partial(cells.embedded, key, first + position, position)
                    values[name] = _with_embedded(values[name], kind, (name,), make, name in left)
                yield _with_names_of(TableRow(f"{file.name}: row {first + position}", values), classes)
            first += parquet.metadata.row_group(group).num_rows


def _group_rows(file: TableFile, group: int, columns: list[str], parquet: Any) -> Iterator[dict[str, Any]]:
    if not columns:
        yield from ({} for _ in range(parquet.metadata.row_group(group).num_rows))
        return
    with readable_parquet(file.source):
        batches = parquet.iter_batches(batch_size=_BATCH_ROWS, row_groups=[group], columns=columns)
    while True:
        with readable_parquet(file.source):
            batch = next(batches, None)
            rows = [] if batch is None else batch.to_pylist()
        if batch is None:
            return
        yield from rows


def _siblings(path: str, paths: Iterable[str]) -> set[str]:
    parent = path.rpartition(".")[0]
    return {other for other in paths if other != path and parent and other.startswith(f"{parent}.")}


def _never_null(parquet: pq.ParquetFile, path: str) -> bool:
    """True for a column that is no part of another and of which the file says that it holds no null."""
    if "." in path:
        return False
    number = next(number for number in range(len(parquet.schema)) if parquet.schema.column(number).path == path)
    groups = map(parquet.metadata.row_group, range(parquet.num_row_groups))
    facts = [group.column(number).statistics for group in groups]
    return all(fact is not None and fact.has_null_count and fact.null_count == 0 for fact in facts)


def _stated_features(schema: pa.Schema) -> Features:
    """The features that `datasets` wrote into a file; none where it did not write it."""
    try:
        stated = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return stated if isinstance(stated, dict) else {}


def _holds_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(_holds_bytes(part.type) for part in kind)
    return (_is_list(kind) and _holds_bytes(kind.value_type)) or _is_binary(kind)


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


CellPath = tuple[str | int, ...]


def _with_embedded(value: Any, kind: Any, path: CellPath, make: Callable[[CellPath], Embedded], unread: bool) -> Any:
    """A cell whose bytes are replaced by what reads them.

    Args:
        unread: the cell is of bytes that were left in the file, so that None tells nothing.
    """
    import pyarrow as pa

    if _is_binary(kind):
        return make(path) if value is not None or unread else None
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {
            part.name: _with_embedded(value.get(part.name), part.type, (*path, part.name), make, part.name not in value)
            for part in kind
        }
    if _is_list(kind):
        return [_with_embedded(part, kind.value_type, (*path, index), make, False) for index, part in enumerate(value)]
    return value


class _GroupCells:
    """The bytes in the cells of a row group; of the group read last they stay in memory: rows are asked in turn."""

    _lock = threading.Lock()
    # Of the class, not of an object: only one group is to be held.
    _last: tuple[_GroupCells, dict[str, pa.ChunkedArray]] | None = None

    def __init__(self, file: TableFile, group: int, media: list[str]) -> None:
        self.file, self.group, self.media = file, group, media

    def embedded(self, key: str, row: int, position: int, path: CellPath) -> Embedded:
        """The bytes at a path into a row.

        Args:
            row: number in the file.
            position: number in the group.
        """
        return Embedded(f"{key}|{row}|{'.'.join(map(str, path))}", partial(self._read, position, path))

    def _read(self, position: int, path: CellPath) -> bytes | None:
        cell: Any = self._column(str(path[0]))[position]
        for part in path[1:]:
            cell = cell.values[part] if isinstance(part, int) else cell[part]
        data = cell.as_py()
        return None if data is None else bytes(data)

    def _column(self, name: str) -> pa.ChunkedArray:
        with self._lock:
            last = _GroupCells._last
            if last is None or last[0] is not self:
                last = _GroupCells._last = (self, {})
            if name not in last[1]:
                leaves = [path for path in self.media if path == name or path.startswith(f"{name}.")]
                try:
                    with open_parquet(self.file.source) as parquet, readable_parquet(self.file.source):
                        last[1][name] = parquet.read_row_group(self.group, columns=leaves).column(name)
                except ReleaseError as error:
                    raise MediaError(str(error)) from error
            return last[1][name]


def _json_rows(file: TableFile) -> Iterator[TableRow]:
    path = file.path()
    if file.ending == ".json":
        yield from _json_list(file.name, path)
        return
    yield from _json_lines(file.name, _lines(file.name, path))


def _json_list(name: str, path: Path) -> Iterator[TableRow]:
    content = decode_text(_whole_file(name, path), name)
    if not content.lstrip().startswith("["):
        # Many a file of lines is called so.
        yield from _json_lines(name, content.splitlines())
        return
    try:
        rows = _parsed_json(content)
    except _RowError as error:
        raise ReleaseError(f"{name}: {error}") from error
    for number, row in enumerate(rows):
        yield _record_row(f"{name}: row {number}", row)


def _json_lines(name: str, lines: Iterable[str]) -> Iterator[TableRow]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{name}:{number}"
            try:
                yield _record_row(where, _parsed_json(line))
            except _RowError as error:
                yield TableRow(where, {}, str(error))


def _parsed_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _RowError(f"not JSON ({error}); write one object a line, or a list of them") from error


def _record_row(where: str, value: Any) -> TableRow:
    if isinstance(value, dict):
        return TableRow(where, value)
    return TableRow(where, {}, f"expected an object with a value a column, found {kind_of(value)}")


def _lines(name: str, path: Path) -> Iterator[str]:
    """Lines of a text; in UTF-8 one after another, so that a long file needs no memory."""
    try:
        check_file(path)
        with open(path, "rb") as handle:
            beginning = handle.read(4)
            handle.seek(0)
            if b"\0" in beginning or beginning[:2] in (b"\xff\xfe", b"\xfe\xff"):
                yield from decode_text(handle.read(), name).splitlines()
                return
            for line in handle:
                yield decode_text(line, name)
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror}); put the file there") from error


def _whole_file(name: str, path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise ReleaseError(f"{name}: cannot be read ({error.strerror}); put the file there") from error


def _text_rows(file: TableFile, first: int | None) -> Iterator[TableRow]:
    path, delimiter = file.path(), TEXT[file.ending]
    table = read_table(path, delimiter) if first is None else read_beginning(path, delimiter, first)
    for row in table.rows:
        # Nothing between two delimiters is a null: text has no other way to say so.
        cells = [cell or None for cell in row.cells]
        yield TableRow(f"{file.name}:{row.line}", dict(zip(table.header, cells, strict=True)))


def _tar_rows(file: TableFile) -> Iterator[TableRow]:
    """The samples of a WebDataset: files that differ in their endings alone, one after another."""
    archive = SharedArchive(file.path())
    key = file.key()
    samples: dict[str, dict[str, str]] = {}
    for name in archive.names():
        folder, _, base = name.rpartition("/")
        stem, dot, ending = base.partition(".")
        if not base.startswith(".") and dot:
            samples.setdefault(f"{folder}/{stem}" if folder else stem, {})[ending.lower()] = name
    for number, (sample, members) in enumerate(samples.items()):
        where = f"{file.name}: row {number}, {sample}"
        values: dict[str, Any] = {"__key__": sample}
        try:
            values |= {ending: _member(archive, name, ending, key) for ending, name in members.items()}
            yield TableRow(where, values)
        except (_RowError, MediaError, ReleaseError) as error:
            yield TableRow(where, values, str(error))


def _member(archive: SharedArchive, name: str, ending: str, key: str) -> Any:
    last = "." + ending.rpartition(".")[2]
    if last not in (".json", ".txt", ".text", ".cls", ".transcript"):
        return Embedded(f"{key}|{name}", partial(archive.read, name))
    text = decode_text(archive.read(name), name)
    return _parsed_json(text) if last == ".json" else text.strip()


def folder_rows(files: Mapping[str, TableFile], root: str) -> Iterator[TableRow]:
    """The rows of an Audio- or VideoFolder: of its metadata, or a row a recording with its folder's name as `label`.

    Recordings are in the column `audio` or `video`, whichever they are, as paths relative to the folder.

    Args:
        files: by path relative to the folder.
        root: how errors call the folder.

    Raises:
        ReleaseError: a table of metadata names no files.
    """
    metadata = [name for name in files if PurePosixPath(name).name in METADATA]
    for name in metadata:
        parent = PurePosixPath(name).parent
        for row in read_rows(files[name]):
            yield TableRow(row.where, _with_files(row, parent), row.problem)
    if metadata:
        return
    found = [name for name in files if PurePosixPath(name).suffix.lower() in MEDIA]
    for number, name in enumerate(sorted(found)):
        path = PurePosixPath(name)
        values = {_kind(name): name, "label": path.parent.name or None, "file_name": name}
        yield TableRow(f"{root}: row {number}, {name}", values)


def _kind(name: str) -> str:
    return "audio" if PurePosixPath(name).suffix.lower() in SOUNDS else "video"


def _with_files(row: TableRow, parent: PurePosixPath) -> dict[str, Any]:
    """The values of a row of metadata with paths from the folder's root, under the names that `datasets` gives them."""
    values = dict(row.values)
    named = [name for name in values if name == "file_name" or name.endswith("_file_name")]
    if not named and row.problem is None:
        raise ReleaseError(
            f"{row.where}: expected a column 'file_name' that names a recording, found {', '.join(values)}"
        )
    for name in named:
        value = values[name]
        path = (parent / value).as_posix() if isinstance(value, str) else None
        column = name.removesuffix("_file_name") if name != "file_name" else _kind(path or "")
        values[column] = path
    return values
