"""A task about some rows of a table, where these are no split of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_tables import write_voices

from avemo_harness.benchmark.columns import ColumnsSpec, DatasetSpec, RowsSpec
from avemo_harness.benchmark.table_loader import load_table
from avemo_harness.errors import ReleaseError


def table(path: Path, *rows: RowsSpec) -> DatasetSpec:
    return DatasetSpec(path=str(path), columns=ColumnsSpec(sound="path", label="emotion"), rows=rows, name="default")


def labels(dataset: DatasetSpec) -> list[str | None]:
    return [turn.emotion for dialogue in load_table(dataset).dialogues for turn in dialogue.turns]


def test_rows_that_fit_all_entries_are_the_table_of_the_task(tmp_path: Path) -> None:
    path = write_voices(tmp_path, 6)
    assert labels(table(path)) == ["anger", "joy", "sadness"] * 2
    some = RowsSpec(column="emotion", values=("joy", "sadness"))
    assert labels(table(path, some)) == ["joy", "sadness"] * 2
    assert labels(table(path, some, RowsSpec(column="{{ row.path[:1] }}", values=("1", "3")))) == ["joy"]


def test_where_no_row_fits_or_a_column_is_missing_the_values_and_columns_are_told(tmp_path: Path) -> None:
    path = write_voices(tmp_path, 3)
    with pytest.raises(
        ReleaseError, match=r"no row has emotion fear \(found emotion: anger, joy, sadness\); correct `rows`"
    ):
        load_table(table(path, RowsSpec(column="emotion", values=("fear",))))
    with pytest.raises(
        ReleaseError, match=r"clips\.csv:2: there is no column 'task' \(columns: path, emotion, speaker\)"
    ):
        load_table(table(path, RowsSpec(column="task", values=("a",))))


def test_tasks_without_such_rows_are_written_as_before() -> None:
    assert "rows" not in table(Path("a.csv")).model_dump(mode="json")
