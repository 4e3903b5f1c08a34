"""`validate --data` reads what a task names, and tells everything that is wrong with it at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.clips import make_clip
from support.releases import write_text_release, write_text_task
from support.small_tables import write_jsonl, write_voices

from avemo_harness.cli import main

HEAD = """task: mine
version: 1
dataset: {{path: {path}, columns: {{{columns}}}}}
messages:
- role: user
  content: [{{type: clip}}, {{type: text, text: "{text}"}}]
output: {{{output}}}
"""
LABELS = "type: label, labels: [anger, joy, sadness]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_voices(tmp_path)
    return tmp_path


def write_task(
    folder: Path,
    path: str = "clips.csv",
    columns: str = "sound: path, label: emotion",
    text: str = "Which?",
    output: str = LABELS,
    more: str = "",
) -> str:
    file = folder / "mine.yaml"
    file.write_text(HEAD.format(path=path, columns=columns, text=text, output=output) + more)
    return str(file)


def problems(task: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["validate", task, "--data"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()


def test_of_data_in_order_it_tells_how_much_would_be_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = write_task(folder, more="label_map: {joy: null}\n")
    assert main(["validate", task, "--data"]) == 0
    assert capsys.readouterr().out == (
        "mine: 4 questions (anger 2, sadness 2); the first 4 can be asked\n"
        "  not asked: 2 turns have the label 'joy', which the task leaves out\n"
        "1 task is valid\n"
    )


def test_without_the_option_no_row_is_read(folder: Path) -> None:
    assert main(["validate", write_task(folder, "nowhere.csv")]) == 0


def test_columns_that_are_not_there_are_all_named_with_the_nearest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = problems(write_task(folder, columns="sound: pahts, label: emotoin, speaker: speaker"), capsys)
    assert len(found) == 2
    assert "no column 'pahts' (columns.sound); nearest: 'path'" in found[0]
    assert "no column 'emotoin' (columns.label); nearest: 'emotion'" in found[1]


def test_labels_that_nothing_names_are_told_once_each_with_their_first_row_and_their_count(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = problems(write_task(folder, output="type: label, labels: [anger, jo]"), capsys)
    assert len(found) == 2
    assert "clips.csv:3 is labelled 'joy'" in found[0]
    assert "nearest: 'jo'" in found[0]
    assert found[0].endswith("(1 more row like it)")
    assert "clips.csv:4 is labelled 'sadness'" in found[1]


def test_recordings_that_cannot_be_read_are_told_with_their_rows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "1.wav").unlink()
    (folder / "3.wav").write_bytes(b"<html>not found</html>")
    (folder / "4.wav").write_bytes((folder / "4.wav").read_bytes()[:-900])
    found = problems(write_task(folder), capsys)
    assert [("clips.csv:3" in line, "clips.csv:5" in line, "clips.csv:6" in line) for line in found] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]
    assert "1.wav: there is no such recording" in found[0]
    assert "it is a web page, not a clip" in found[1]


def test_streams_that_no_recording_has_are_a_problem_and_those_that_some_lack_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = problems(write_task(folder, columns="video: path, label: emotion"), capsys)
    assert found == (
        "mine: nothing would be asked: 6 turns have no face; the condition is full_av, so name another by "
        "`condition:`, or other columns or labels"
    )
    (folder / "0.mp4").write_bytes(make_clip(0.4))
    table = folder / "clips.csv"
    table.write_text(table.read_text().replace("0.wav", "0.mp4"))
    assert main(["validate", write_task(folder, columns="video: path, label: emotion"), "--data"]) == 0
    said = capsys.readouterr().out
    assert "mine: 1 question (" in said
    assert "not asked: 5 turns have no face" in said


def test_templates_that_fail_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = problems(write_task(folder, text="{{ row.question }}"), capsys)
    assert len(found) == 6
    assert "no attribute 'question'" in found[0]


def test_options_that_make_no_choice_are_told_of_every_row(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl(folder / "t.jsonl", ({"c": "0.wav", "o": list("abc")[:n], "a": 0} for n in (1, 2, 3, 1)))
    columns = "sound: c, choices: o, answer: a"
    found = problems(write_task(folder, "t.jsonl", columns, output="type: choice"), capsys)
    assert [line.partition(", turn")[0] for line in found] == ["mine: dialogue '0'", "mine: dialogue '3'"]


def test_data_of_several_tasks_are_checked_and_releases_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = write_text_task(folder / "text.yaml", write_text_release(folder / "data", 4))
    assert main(["validate", str(text), write_task(folder, "nowhere.csv"), "--data"]) == 2
    said = capsys.readouterr()
    assert "text_only: 4 questions (angry 1, happy 1, neutral 1, sad 1); the first 4 can be asked" in said.out
    assert "nowhere.csv: no such file or folder" in said.err
