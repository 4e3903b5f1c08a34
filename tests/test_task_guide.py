"""The tasks of the guide, `tasks/README.md`, run on data as it describes them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.answering_server import MODEL, answering
from support.graded_runs import Telling, answer_in, grade_of, grading
from support.hub_server import serve
from support.small_tables import LABELS, acted_voices, voice, write_jsonl, write_meld_like, write_voices
from support.waiting import PATIENCE_S

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.cli import main

GUIDE = (Path(__file__).parents[1] / "tasks" / "README.md").read_text(encoding="utf-8")
BLOCKS = {
    text.split("\n")[0].removeprefix("task: "): text for text in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
}


def write_task(folder: Path, name: str) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(BLOCKS[name], encoding="utf-8")
    return file


def run(folder: Path, task: Path, model: str, *options: str) -> dict[str, Any]:
    """The results of the task, which is checked with its data first."""
    assert main(["validate", str(task), "--data"]) == 0
    out = folder / f"run of {model}"
    assert main(["--model", model, "--tasks", str(task), "--output_path", str(out), *options]) == 0
    return results(out, task.stem)


def results(out: Path, task: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "results.json").read_text())["tasks"][task]
    return found


def value(found: dict[str, Any], metric: str) -> float:
    number: float = found["metrics"][metric]["value"]
    return number


def test_the_guide_has_five_tasks_of_which_the_first_has_at_most_fifteen_lines() -> None:
    assert list(BLOCKS) == ["voices", "acted_voices", "meld_seven", "better_reply", "why_so"]
    assert BLOCKS["voices"].count("\n") <= 15


def test_a_table_of_recordings_with_labels(tmp_path: Path) -> None:
    write_voices(tmp_path, 12)
    found = run(tmp_path, write_task(tmp_path, "voices"), "audio-oracle")
    assert (found["n_items"], value(found, "accuracy"), value(found, "uar")) == (12, 1.0, 1.0)
    assert found["details"]["labels"] == list(LABELS)


@pytest.mark.slow
def test_a_data_set_of_the_hub_with_class_labels(tmp_path: Path) -> None:
    task = write_task(tmp_path, "acted_voices")
    with serve(acted_voices("lab/acted-voices")) as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-m", "avemo_harness", "--model", "audio-oracle", "--tasks", str(task)]
        command += ["--output_path", str(tmp_path / "run")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "run", "acted_voices")
    assert (found["n_items"], value(found, "uar")) == (4, 1.0)
    assert found["not_asked"] == {f"the label {label!r}, which the task leaves out": 1 for label in ("DIS", "FEA")}


def test_a_conversation_a_row_a_turn_with_seven_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_meld_like(tmp_path, 5)
    task = write_task(tmp_path, "meld_seven")
    found = run(tmp_path, task, "video-oracle")
    assert (found["n_items"], value(found, "weighted_f1")) == (15, 1.0)
    capsys.readouterr()
    assert main(["show", str(task), "--n", "3", "--ids", "0"]) == 0
    asked = [text.split("\n") for text in capsys.readouterr().out.split("\n\n")[1:]]
    assert [text[0] for text in asked] == ["0/0  gold: neutral", "0/1  gold: happy", "0/2  gold: surprised"]
    assert [sum("[clip" in line for line in text) for text in asked] == [1, 2, 3]
    audio = tmp_path / "meld_seven_audio.yaml"
    audio.write_text("task: meld_seven_audio\nextends: meld_seven.yaml\ncondition: audio_only\n")
    assert value(run(tmp_path, audio, "audio-oracle"), "accuracy") == 1.0


def test_a_choice_between_two_recordings(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.wav").write_bytes(voice(number))
    rows = ({"said": f"{n}.wav", "replies": [f"{n + 4}.wav", f"{n + 8}.wav"], "better": n % 2} for n in range(4))
    write_jsonl(tmp_path / "replies.jsonl", rows)
    found = run(tmp_path, write_task(tmp_path, "better_reply"), "constant", "--model_args", "label=A")
    assert (found["n_items"], value(found, "accuracy"), value(found, "position_bias")) == (8, 0.5, 1.0)


def test_free_text_that_a_model_grades(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.wav").write_bytes(voice(number))
    rows = ({"clip": f"{n}.wav", "question": "Why is she sad?", "reference": f"Because of {n}."} for n in range(4))
    write_jsonl(tmp_path / "scenes.jsonl", rows)
    task = write_task(tmp_path, "why_so")
    assert main(["validate", str(task), "--data"]) == 0
    with answering(grading) as server:
        task.write_text(task.read_text().replace("http://localhost:8000/v1", server.url).replace("my-grader", MODEL))
        found = evaluate(Telling(), str(task), output_path=tmp_path / "run").tasks["why_so"]
    grades = [grade_of(answer_in(payload)) for payload in server.payloads if "messages" in payload]
    assert found.n_items == len(grades) == 4
    assert found.metrics["rubric_mean"].value == pytest.approx(sum(grades) / 4)
    assert main(["report", str(tmp_path / "run")]) == 0


class Rating(Telling):
    """Rates everything 3."""

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [Response(text="I'd say 3 of 5.") for _ in requests]


def test_a_rating_on_a_scale(tmp_path: Path) -> None:
    write_voices(tmp_path)
    rows = ({"clip": f"{n}.wav", "reference": 1 + n % 5} for n in range(6))
    write_jsonl(tmp_path / "scenes.jsonl", rows)
    output, scorers = (re.search(rf"`({key}: [^`]*)`", GUIDE) for key in (r"output: {type", "scorers: .{name"))
    assert output
    assert scorers
    text = BLOCKS["why_so"].partition("output:")[0].replace("{{ row.question }} Answer in one sentence.", "How sad?")
    task = tmp_path / "why_so.yaml"
    task.write_text(f"{text}{output[1]}\n{scorers[1]}\n", encoding="utf-8")
    assert main(["validate", str(task), "--data"]) == 0
    found = evaluate(Rating(), str(task), output_path=tmp_path / "run").tasks["why_so"]
    assert (found.n_items, found.metrics["mae"].value) == (6, pytest.approx(8 / 6))
