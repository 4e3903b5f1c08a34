"""Every task that can be asked of a release is a leaderboard of it, with the task's own config and split."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support.byte_clips import write_byte_release

from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.data.sharing.contents import leaderboard_file, read_contents, tasks_of
from avemo_harness.scorers import METRICS

SPECS = [task.spec for task in TaskLibrary(METRICS).load(["*"])]


@pytest.mark.parametrize("config", ["multiturn_real", "multiturn_synthetic", "singleturn_synthetic"])
def test_each_task_of_a_released_config_has_a_leaderboard(tmp_path: Path, config: str) -> None:
    contents = read_contents(write_byte_release(tmp_path, config=config))
    listed = yaml.safe_load(leaderboard_file("A title", "What it is: a test.", tasks_of(contents, SPECS)))
    assert set(listed) == {"name", "description", "evaluation_framework", "tasks"}
    assert listed["evaluation_framework"] == "avemo-harness"
    expected = {spec.task: spec.dataset for spec in SPECS if spec.dataset.name == config}
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
