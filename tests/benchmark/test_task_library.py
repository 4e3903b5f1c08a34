"""Tasks are found by name, glob, group, folder or path, and inherited values say where they come from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from avemo_harness.benchmark.task_file import resolve_parents
from avemo_harness.benchmark.task_library import SHIPPED, TaskLibrary
from avemo_harness.cli import main
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
        "demo_reply",
    ]
    assert len(library.load(["*_full_av"])) == 4


def test_a_path_is_a_task_and_an_included_folder_adds_its_own(folder: Path) -> None:
    assert TaskLibrary(METRICS).load([str(folder / "mine.yaml")])[0].spec.condition.noise == "pink"
    library = TaskLibrary(METRICS, [folder])
    assert library.load(["mine"])[0].name == "mine"
    assert "mine" in [entry.name for entry in library.members("demo")]


def test_a_path_and_a_name_of_one_file_are_one_task(folder: Path) -> None:
    library = TaskLibrary(METRICS, [folder])
    assert len(library.load(["mine", str(folder / "mine.yaml"), "min*"])) == 1


def test_a_path_may_start_at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert TaskLibrary(METRICS).load(["~/mine.yaml"])[0].name == "mine"


@pytest.mark.parametrize("path", ["nowhere.yaml", "~nobody-of-this-name/x.yaml", "x" * 5_000 + ".yml", "."])
def test_a_path_that_leads_nowhere_is_refused(path: str) -> None:
    with pytest.raises(TaskError, match=r"no such task file|unknown task or group"):
        TaskLibrary(METRICS).load([path])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("demo_audio", "unknown task or group 'demo_audio'; nearest: demo_audio_only"),
        ("multiturn_reel", "unknown task or group 'multiturn_reel'; nearest: multiturn_real, "),
        ("zzz", "unknown task or group 'zzz'; see `avemo-eval ls`"),
        ("nothing_*", "unknown task or group 'nothing_*'; "),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(TaskError) as refusal:
        TaskLibrary(METRICS).load([name])
    assert str(refusal.value).startswith(said)


def test_a_missing_folder_of_tasks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"nowhere: no such folder of tasks \(--include_path\)"):
        TaskLibrary(METRICS, [tmp_path / "nowhere"])


def test_files_whose_name_begins_with_an_underscore_are_parents_only(folder: Path) -> None:
    (folder / "_base.yaml").write_text("task: [not, a, task\n")
    assert TaskLibrary(METRICS, [folder]).load(["mine"])[0].name == "mine"


def test_a_group_needs_no_file_of_its_own(folder: Path) -> None:
    mine = folder / "mine.yaml"
    mine.write_text(mine.read_text().replace("group: demo", "group: my_group"))
    library = TaskLibrary(METRICS, [folder])
    assert [task.name for task in library.load(["my_group"])] == ["mine"]
    assert library.load_group("my_group") is None


def test_a_name_that_two_files_define_is_refused(folder: Path) -> None:
    (folder / "again.yaml").write_text((folder / "mine.yaml").read_text())
    with pytest.raises(TaskError, match=r"mine\.yaml:1: 'mine' is already defined in .*again\.yaml"):
        TaskLibrary(METRICS, [folder]).load(["mine"])


def test_a_name_of_a_shipped_task_or_group_cannot_be_given_again(folder: Path) -> None:
    own = folder / "own.yaml"
    for text, name in (("task: demo_conflict\n", "demo_conflict"), ("group: demo\ncolumns: []\n", "demo")):
        own.write_text(text)
        with pytest.raises(TaskError, match=rf"own\.yaml:1: '{name}' is already defined in .*demo"):
            TaskLibrary(METRICS, [folder]).load(["mine"])


def test_two_paths_that_define_one_name_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "again.yaml").write_text((folder / "mine.yaml").read_text())
    with pytest.raises(TaskError, match="two of the files asked for define a task 'mine'"):
        TaskLibrary(METRICS).load([str(folder / "mine.yaml"), str(folder / "again.yaml")])


def test_the_problems_of_several_files_are_told_together(folder: Path) -> None:
    files = []
    for name in ("one", "two"):
        files.append(folder / f"{name}.yaml")
        files[-1].write_text((folder / "mine.yaml").read_text().replace("mine", name) + "outptu: x\n")
    with pytest.raises(TaskError) as refusal:
        TaskLibrary(METRICS).load([str(file) for file in files])
    assert [line.split(": ")[0] for line in str(refusal.value).splitlines()] == [f"{file}:6" for file in files]


def test_a_file_that_names_neither_task_nor_group_is_refused(folder: Path) -> None:
    (folder / "stray.yaml").write_text("version: 1\n")
    with pytest.raises(TaskError, match=r"stray\.yaml:1: neither 'task' nor 'group' names what this file defines"):
        TaskLibrary(METRICS, [folder]).load(["mine"])


def test_the_list_shows_groups_with_their_tasks_in_the_tables_order_then_the_rest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "alone.yaml").write_text("task: alone\n")
    assert main(["ls", "--include_path", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:6] == [
        "demo  (Demo: built-in clips, single- and multi-turn)",
        "  demo_full_av",
        "  demo_audio_only",
        "  demo_video_only",
        "  demo_conflict",
        "  demo_reply",
    ]
    assert 5 < lines.index("  mine") < lines.index("alone")


def test_listing_the_shipped_tasks_parses_no_yaml_and_a_changed_copy_is_read(tmp_path: Path) -> None:
    code = (
        "import sys; from avemo_harness.benchmark.task_library import SHIPPED, TaskLibrary; "
        "tasks = TaskLibrary({}).tasks; print(len(tasks), 'yaml' in sys.modules)"
    )
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert listed == f"{len(TaskLibrary(METRICS).tasks)} False\n"
    copy = tmp_path / "audio_only.yaml"
    text = (SHIPPED / "demo/audio_only.yaml").read_text(encoding="utf-8")
    copy.write_text(text.replace("task: demo_audio_only", "task: mine_alone"), encoding="utf-8")
    assert [entry.name for entry in TaskLibrary(METRICS, [tmp_path]).tasks if entry.file == copy] == ["mine_alone"]


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
