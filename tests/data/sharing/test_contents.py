"""Where the clips of a release are is found out, not believed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.byte_clips import clip_path, write_byte_release, write_clips_beside
from support.releases import write_text_release

from avemo_harness.data.sharing.contents import ClipLocation, holds_bytes, read_contents


def test_clips_inside_beside_elsewhere_and_none_are_told_apart(tmp_path: Path) -> None:
    found: dict[str, ClipLocation] = {
        "inside": read_contents(write_byte_release(tmp_path / "inside")).holding,
        "beside": read_contents(write_clips_beside(tmp_path / "beside")).holding,
        "elsewhere": read_contents(write_byte_release(tmp_path / "elsewhere", path_of=clip_path)).holding,
        "text": read_contents(write_text_release(tmp_path / "text", 2)).holding,
    }
    assert found == {"inside": "embedded", "beside": "beside", "elsewhere": "elsewhere", "text": "none"}


@pytest.mark.parametrize("statistics", [True, False])
def test_bytes_in_a_column_that_no_schema_knows_count_as_clips(tmp_path: Path, statistics: bool) -> None:
    table = pa.table({"id": ["a", "b"], "preview": pa.array([None, b"picture"], pa.binary())})
    pq.write_table(table, tmp_path / "rows.parquet", write_statistics=statistics)
    assert holds_bytes(tmp_path / "rows.parquet")


def test_text_and_empty_columns_hold_no_bytes(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"], "clip": pa.array([None, None], pa.binary())})
    pq.write_table(table, tmp_path / "rows.parquet")
    assert not holds_bytes(tmp_path / "rows.parquet")
