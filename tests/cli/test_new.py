"""`avemo-eval new task` proposes a task for any data set, checks it and shows its first question."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.hub_server import serve
from support.small_tables import (
    LABELS,
    VOICES,
    parquet,
    voice_rows,
    voices_repository,
    write_jsonl,
    write_label_folders,
    write_tar,
    write_voices,
)
from support.waiting import PATIENCE_S

from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.cli import main
from avemo_harness.run.prepare import load_task


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_table_becomes_a_task_that_is_checked_shown_and_asked_by_the_commands_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_voices(tmp_path)
    assert main(["new", "task", "voices", "--from", "clips.csv"]) == 0
    said = capsys.readouterr().out
    assert "  gold: " in said
    assert "sound 16000 Hz, 0.30 s" in said
    commands = [line.split()[1:] for line in said.splitlines() if line.startswith("  avemo-eval ")]
    assert commands == [
        ["show", "voices.yaml", "--n", "2"],
        ["validate", "voices.yaml", "--data"],
        ["--model", "random", "--tasks", "voices.yaml", "--limit", "5"],
    ]
    for command in commands:
        assert main(command) == 0
    said = capsys.readouterr().out
    assert "voices: 6 questions (anger 2, joy 2, sadness 2); the first 6 can be asked" in said
    assert "voices  accuracy" in said


def as_jsonl(folder: Path) -> str:
    write_voices(folder)
    write_jsonl(folder / "clips.jsonl", ({"wav": f"{n}.wav", "emotion": LABELS[n % 3]} for n in range(6)))
    return "clips.jsonl"


def as_parquet(folder: Path) -> str:
    (folder / "voices.parquet").write_bytes(parquet(voice_rows(6), VOICES))
    return "voices.parquet"


def as_folders(folder: Path) -> str:
    return write_label_folders(folder / "voices").name


def as_tar(folder: Path) -> str:
    return write_tar(folder / "voices.tar").name


@pytest.mark.parametrize("write", [as_jsonl, as_parquet, as_folders, as_tar])
def test_whatever_form_a_data_set_has_the_task_asks_for_the_labels_that_it_holds(
    write: Callable[[Path], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "task", "voices", "--from", write(tmp_path), "--out", "tasks/voices.yaml"]) == 0
    spec = load_task("tasks/voices.yaml").spec
    assert isinstance(spec.output, LabelOutput)
    assert spec.output.labels == LABELS
    assert spec.condition.name == "audio_only"
    assert main(["validate", "tasks/voices.yaml", "--data"]) == 0
    assert "6 questions (anger 2, joy 2, sadness 2)" in capsys.readouterr().out


def test_a_task_beside_its_data_names_them_by_a_relative_path_and_elsewhere_by_a_whole_one(tmp_path: Path) -> None:
    write_voices(tmp_path / "data")
    assert main(["new", "task", "beside", "--from", "data/clips.csv", "--out", "data/beside.yaml"]) == 0
    assert "  path: clips.csv\n" in Path("data/beside.yaml").read_text()
    assert main(["new", "task", "apart", "--from", "data/clips.csv", "--out", "other/apart.yaml"]) == 0
    assert f"  path: {tmp_path}/data/clips.csv\n" in Path("other/apart.yaml").read_text()


def test_a_data_set_of_the_hub_becomes_a_task_that_is_pinned_to_its_commit(tmp_path: Path) -> None:
    repository = voices_repository("lab/voices")
    with serve(repository) as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-m", "avemo_harness", "new", "task", "voices", "--from", "lab/voices"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert "gold: " in done.stdout
    text = Path("voices.yaml").read_text()
    assert f"  path: lab/voices\n  revision: {repository.commit}\n" in text
    assert len([line for line in text.splitlines() if not line.startswith("#")]) <= 15


def test_a_task_of_ratings_is_shown_and_its_first_run_asks_a_model_that_gives_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_voices(tmp_path)
    write_jsonl(tmp_path / "rated.jsonl", ({"wav": f"{n}.wav", "arousal": n / 2} for n in range(6)))
    assert main(["new", "task", "rated", "--from", "rated.jsonl"]) == 0
    said = capsys.readouterr().out
    assert "Rate the speaker's arousal. Answer with a number from 0 to 10." in said
    assert "avemo-eval --model openai --model_args base_url=http://localhost:8000/v1 --tasks rated.yaml" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo_full_av", "--from", "clips.csv"], "'demo_full_av' is the name of a task or group already"),
        (["demo", "--from", "clips.csv"], "'demo' is the name of a task or group already"),
        (["My-Voices", "--from", "clips.csv"], "'My-Voices' is no name of a task"),
        (["voices", "--from", "clips.csv", "--out", "there.yaml"], "there.yaml is there already"),
        (["voices", "--from", "clips.csv", "--out", "voices.txt"], "a task's file ends in .yaml"),
        (["voices", "--from", "nowhere.csv"], "nowhere.csv: no such file or folder, and not a Hub id"),
        (["voices", "--from", "empty.csv"], "empty.csv"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence_and_nothing_is_written(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_voices(tmp_path)
    Path("there.yaml").write_text("mine")
    Path("empty.csv").write_text("path,emotion\n")
    before = sorted(tmp_path.iterdir())
    assert main(["new", "task", *arguments]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert len(told.err.splitlines()) == 1
    assert told.out == ""
    assert sorted(tmp_path.iterdir()) == before
    assert Path("there.yaml").read_text() == "mine"


def test_a_task_whose_first_question_cannot_be_made_is_kept_and_the_reason_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_voices(tmp_path)
    for path in tmp_path.glob("*.wav"):
        path.unlink()
    assert main(["new", "task", "voices", "--from", "clips.csv"]) == 2
    told = capsys.readouterr()
    assert ".wav: there is no such recording" in told.err
    assert "avemo-eval validate voices.yaml --data" in told.out
    assert Path("voices.yaml").exists()


def test_new_tells_its_form(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["new", "--help"])
    assert "avemo-eval new task NAME --from DATA" in capsys.readouterr().out
