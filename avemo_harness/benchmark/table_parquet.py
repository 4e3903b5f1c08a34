"""Rows of Parquet files, whose recordings stay in the file until they are asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.release_sources import check_group_size, open_parquet, readable_parquet
from avemo_harness.benchmark.table_files import Features, TableFile, TableRow, classes_of, with_names_of
from avemo_harness.benchmark.table_media import Embedded
from avemo_harness.errors import MediaError, ReleaseError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BATCH_ROWS = 1_000


def parquet_rows(file: TableFile, features: Features | None) -> Iterator[TableRow]:
    """Yield the rows of a file.

    Args:
        features: None for those that the file states.

    Raises:
        ReleaseError: it is no Parquet, or damaged.
    """
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
        classes = classes_of(features)
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
                yield with_names_of(TableRow(f"{file.name}: row {first + position}", values), classes)
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
