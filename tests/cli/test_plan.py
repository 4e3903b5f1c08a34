"""`avemo-eval plan` says what its estimates rest on, and leaves no run behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.releases import write_text_release, write_text_task

from avemo_harness.cli import main


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 20, turns=2))


def test_a_model_is_asked_a_few_items_and_nothing_is_kept(
    task: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.json"
    assert main(["plan", "--tasks", str(task), "--model", "random", "--probe", "5", "--json", str(file)]) == 0
    said = capsys.readouterr().out
    assert "asked     40 items about 20 dialogues" in said
    assert "of random on this machine, from 5 probed items" in said
    found = json.loads(file.read_text())
    assert (found["items"], found["probed"], found["model"]) == (40, 5, "random")
    assert found["model_s"]["low"] <= found["model_s"]["estimate"] <= found["model_s"]["high"]
    assert list(Path.cwd().iterdir()) == []


def test_without_a_model_it_says_what_is_missing(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--tasks", str(task), "--limit", "3"]) == 0
    said = capsys.readouterr().out
    assert "asked     6 items about 3 dialogues" in said
    assert "name it with --model" in said
    assert "time " not in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--probe", "0"], "--probe must be a whole number from 1 on; found 0"),
        (["--device", "cpu"], "--device is for a model"),
        (["--model", "rondom"], "random"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: list[str], said: str, task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--tasks", str(task), *options]) == 2
    assert said in capsys.readouterr().err
