"""The rows of a table that a task is about, where they are no split of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from avemo_harness.benchmark.columns import RowsSpec
from avemo_harness.benchmark.table_files import TableRow
from avemo_harness.benchmark.table_rows import ABSENT, as_text, value_at
from avemo_harness.benchmark.template import render_row
from avemo_harness.errors import ReleaseError, TaskError

_MAX_SHOWN = 20
"""Other values of a column that an error lists."""


def select_rows(rows: Iterable[TableRow], wanted: Sequence[RowsSpec], source: str) -> Iterator[TableRow]:
    """Yield the rows that fit all entries, and those that cannot be read.

    Args:
        source: how errors call the table.

    Raises:
        ReleaseError: no row fits, or one lacks a column that is named.
    """
    found: dict[str, set[str]] = {entry.column: set() for entry in wanted}
    fits = False
    for row in rows:
        if row.problem is not None:
            yield row
            continue
        values = {entry.column: _value(row, entry.column) for entry in wanted}
        for column, value in values.items():
            if len(found[column]) < _MAX_SHOWN:
                found[column].add(value)
        if all(values[entry.column] in entry.values for entry in wanted):
            fits = True
            yield row
    if not fits and any(found.values()):
        asked = " and ".join(f"{entry.column} {' or '.join(entry.values)}" for entry in wanted)
        held = "; ".join(f"{column}: {', '.join(sorted(values))}" for column, values in found.items())
        raise ReleaseError(f"{source}: no row has {asked} (found {held}); correct `rows` of the task's dataset")


def _value(row: TableRow, column: str) -> str:
    """Text of a row in a column; empty where it says nothing."""
    if "{" in column:
        try:
            return render_row(column, row.values)
        except TaskError as error:
            raise ReleaseError(f"{row.where}: {error}") from error
    value = value_at(row.values, column)
    if value is ABSENT:
        raise ReleaseError(
            f"{row.where}: there is no column {column!r} (columns: {', '.join(row.values)}); correct `rows` of the "
            "task's dataset"
        )
    return as_text(value) or ""
