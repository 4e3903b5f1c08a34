"""Contents of a release as a push reads them: place of its clips, its records, the tasks that can be asked of it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from support.byte_clips import clip_path, write_byte_release, write_clips_beside
from support.releases import write_text_release

from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.data.sharing.contents import ClipLocation, holds_bytes, leaderboard_file, read_contents, tasks_of
from avemo_harness.data.sharing.records import read_records
from avemo_harness.errors import ReleaseError
from avemo_harness.scorers import METRICS


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


SPECS = [task.spec for task in TaskLibrary(METRICS).load(["*"])]


@pytest.mark.parametrize("config", ["multiturn_real", "multiturn_synthetic", "singleturn_synthetic"])
def test_each_task_of_a_released_config_has_a_leaderboard(tmp_path: Path, config: str) -> None:
    contents = read_contents(write_byte_release(tmp_path, config=config))
    listed = yaml.safe_load(leaderboard_file("A title", "What it is: a test.", tasks_of(contents, SPECS)))
    assert set(listed) == {"name", "description", "evaluation_framework", "tasks"}
    assert listed["evaluation_framework"] == "avemo-harness"
    own = (spec for spec in SPECS if spec.dataset.corpus is None)
    expected = {spec.task: spec.dataset for spec in own if spec.dataset.name == config}
    assert {one["id"] for one in listed["tasks"]} == set(expected)
    for one in listed["tasks"]:
        assert (one["config"], one["split"]) == (expected[one["id"]].name, expected[one["id"]].split)


def test_a_release_without_pairs_has_no_leaderboard_of_conflicts(tmp_path: Path) -> None:
    write_byte_release(tmp_path)
    (tmp_path / "multiturn_real_conflict" / "test-00000.parquet").unlink()
    names = [spec.task for spec in tasks_of(read_contents(tmp_path), SPECS)]
    assert "multiturn_real_full_av" in names
    assert "multiturn_real_conflict" not in names


def test_a_config_that_no_task_asks_about_has_none(tmp_path: Path) -> None:
    assert tasks_of(read_contents(write_byte_release(tmp_path, config="own_clips")), SPECS) == []


def test_records_that_are_there_are_published(tmp_path: Path) -> None:
    (tmp_path / "import.json").write_text(json.dumps({"source": "/home/ann/meld", "splits": {"test": 3}}))
    (tmp_path / "provenance.jsonl").write_text('{"turn": 0}\n{"turn": 1, "portrait": "face"}\n')
    files = read_records(tmp_path).published()
    assert set(files) == {"import.json", "provenance.jsonl"}
    assert json.loads(files["import.json"]) == {"source": "…/meld", "splits": {"test": 3}}
    assert [json.loads(line)["turn"] for line in files["provenance.jsonl"].splitlines()] == [0, 1]


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_a_damaged_record_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "build.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ReleaseError, match=r"build\.json: .*make the release again"):
        read_records(tmp_path)
