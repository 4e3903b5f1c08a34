"""Tasks are found by name, glob, group, folder or path, and inherited values say where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.benchmark.task_file import resolve_parents
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.errors import TaskError
from avemo_harness.scorers import METRICS

PARENT = Path(__file__).parents[2] / "tasks" / "_understanding.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(
        f"task: mine\nextends: {PARENT}\ngroup: demo\n"
        "dataset: {name: demo}\ncondition: {name: video_only, noise: pink}\n"
    )
    return tmp_path


def test_names_globs_and_groups_stand_for_tasks_each_once() -> None:
    library = TaskLibrary(METRICS)
    assert [task.name for task in library.load(["demo_conflict", "demo"])] == [
        "demo_conflict",
        "demo_full_av",
        "demo_audio_only",
        "demo_video_only",
    ]
    assert len(library.load(["*_full_av"])) == 4


def test_a_path_is_a_task_and_an_included_folder_adds_its_own(folder: Path) -> None:
    assert TaskLibrary(METRICS).load([str(folder / "mine.yaml")])[0].spec.condition.noise == "pink"
    library = TaskLibrary(METRICS, [folder])
    assert library.load(["mine"])[0].name == "mine"
    assert "mine" in [entry.name for entry in library.members("demo")]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"unknown task or group 'demo_audio'; nearest: demo_audio_only"):
        TaskLibrary(METRICS).load(["demo_audio"])


def test_a_name_that_two_files_define_is_refused(folder: Path) -> None:
    (folder / "again.yaml").write_text((folder / "mine.yaml").read_text())
    with pytest.raises(TaskError, match=r"'mine' is already defined in .*again\.yaml"):
        TaskLibrary(METRICS, [folder]).load(["mine"])


def test_a_broken_file_in_an_included_folder_is_not_passed_over(folder: Path) -> None:
    (folder / "broken.yaml").write_text("task: [unclosed\n")
    with pytest.raises(TaskError, match=r"broken\.yaml:2: not valid YAML"):
        TaskLibrary(METRICS, [folder]).load(["mine"])


def test_a_child_adds_to_its_parents_mappings_and_replaces_the_rest(folder: Path) -> None:
    child = folder / "child.yaml"
    child.write_text("extends: mine.yaml\ntask: child\ncondition: {noise: white}\ngeneration: {max_new_tokens: 4}\n")
    document = resolve_parents(child)
    assert document.values["condition"] == {"name": "video_only", "noise": "white"}
    assert document.values["generation"] == {"max_new_tokens": 4, "do_sample": False}
    assert document.origin(("condition", "noise")) == (child, 3)
    assert document.origin(("condition", "name")) == (folder / "mine.yaml", 5)
    assert document.origin(("output", "labels", 0)) == (PARENT, 14)
