"""The command that checks task YAMLs says everything that is wrong, on standard error, and exits with 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.waiting import PATIENCE_S

from avemo_harness.benchmark.task_file import editor_schema
from avemo_harness.cli import main

TASKS = Path(__file__).parents[2] / "tasks"
HEAD = f"task: mine\nextends: {TASKS}/_understanding.yaml\ndataset: {{name: demo}}\ncondition: full_av\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD)
    return path


def validate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "avemo_harness", "validate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"outptu: x\n", ":5: outptu: unknown key; nearest: 'output'"),
        (b"headline: !!python/object/apply:os.system ['touch owned']\n", ":5: headline: tag "),
        (b"a: &a [x]\n" + b"".join(b"k%d: *a\n" % i for i in range(99)), ": more than 50 aliases"),
        (b"context: " + b"[" * 30_000, ":5: nested deeper than 24 levels"),
        (b"#" * 100_000, ":1: the file has more than the 32,768 bytes"),
        (b"\xff\xfe\x00", ":5: the file is not UTF-8 text"),
        (b'headline: "\\ud800"\n', ":5: headline: half of a surrogate pair"),
    ],
    ids=["unknown key", "python tag", "aliases", "depth", "size", "bytes", "surrogate"],
)
def test_a_broken_file_exits_with_2_and_its_line_without_a_traceback(file: Path, body: bytes, said: str) -> None:
    file.write_bytes(HEAD.encode() + body)
    done = validate(str(file))
    assert done.returncode == 2
    assert done.stdout == ""
    assert str(file) in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("owned").exists()


def test_all_shipped_tasks_are_checked_when_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate"]) == 0
    assert capsys.readouterr().out == "25 tasks are valid\n"


@pytest.mark.parametrize(("names", "count"), [(["demo"], 5), (["demo", "demo_conflict", "*_conflict"], 8)])
def test_names_groups_and_globs_are_checked_once_each(
    names: list[str], count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", *names]) == 0
    assert capsys.readouterr().out == f"{count} tasks are valid\n"


def test_a_right_file_is_counted(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(file)]) == 0
    assert capsys.readouterr().out == "1 task is valid\n"


def test_an_added_folder_is_checked_with_the_shipped_tasks(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--include_path", str(file.parent)]) == 0
    assert capsys.readouterr().out == "26 tasks are valid\n"


def test_the_problems_of_all_files_are_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(HEAD + "outptu: x\nheadline: f2\n")
    other = file.with_name("other.yaml")
    other.write_text(HEAD.replace("mine", "other") + "version: two\n")
    assert main(["validate", str(file), str(other), "demo"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.split(": ")[:2] for line in said.err.splitlines()] == [
        [f"{file}:5", "outptu"],
        [f"{file}:6", "headline"],
        [f"{other}:5", "version"],
    ]


def test_a_broken_group_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    group = file.with_name("group.yaml")
    group.write_text("group: mine\ntitle: Mine\ncolumns: [{name: A, condition: full_av, metric: acuracy}]\n")
    assert main(["validate", "--include_path", str(file.parent)]) == 2
    assert f"{group}:3: columns[0].metric: unknown metric 'acuracy'; nearest: 'accuracy'" in capsys.readouterr().err


def test_an_unknown_name_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "demo_conflic"]) == 2
    assert capsys.readouterr().err == "avemo-eval: unknown task or group 'demo_conflic'; nearest: demo_conflict\n"


def test_the_schema_for_editors_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == editor_schema()
