"""A release with labels of its own, asked by a task that maps them: report, conflict pairs, and what is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.acted_release import acted_dialogues, write_acted

from avemo_harness.benchmark.release import Dialogue, Turn
from avemo_harness.cli import main

pytestmark = pytest.mark.slow

OWN = {"neutral": "calm", "happy": "joy", "angry": "anger", "sad": "sadness"}
TASK = """
task: feelings_{condition}
version: 1
group: feelings
dataset: {{path: "{release}", name: singleturn_synthetic}}
condition: {condition}
context: {{turns: none}}
messages:
- role: user
  content:
  - type: clip
  - type: text
    text: "Which emotion? {{{{ labels | join(', ') }}}}"
output: {{type: label, labels: [joy, rage, sadness]}}
label_map: {{anger: rage, calm: null}}
opposites: [[joy, sadness], [joy, rage]]
scorers: [{{name: {scorer}}}]
"""
SCORERS = {
    "full_av": "understanding, metrics: [accuracy, macro_f1]",
    "conflict": "modality_preference, metrics: [aar, var, olr]",
}


def in_own_words(turn: Turn) -> Turn:
    return turn if turn.emotion is None else replace(turn, emotion=OWN[turn.emotion])


def own_dialogues(speakers: int) -> list[Dialogue]:
    return [replace(one, turns=tuple(map(in_own_words, one.turns))) for one in acted_dialogues(speakers)]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_acted(tmp_path_factory.mktemp("own") / "release", own_dialogues(6), pairs=[], train=32)


def write_task(folder: Path, release: Path, condition: str) -> Path:
    file = folder / f"{condition}.yaml"
    file.write_text(TASK.format(condition=condition, release=release, scorer=SCORERS[condition]))
    return file


def ask(folder: Path, model: str, *tasks: Path) -> dict[str, dict[str, object]]:
    names = ",".join(map(str, tasks))
    assert main(["--model", model, "--tasks", names, "--output_path", str(folder / model)]) == 0
    results = json.loads((folder / model / "results.json").read_text())
    tasks_of_run: dict[str, dict[str, object]] = results["tasks"]
    return tasks_of_run


def test_the_baseline_learns_the_tasks_labels_and_what_is_left_out_is_counted(tmp_path: Path, release: Path) -> None:
    task = write_task(tmp_path, release, "full_av")
    found = ask(tmp_path, "baseline", task)["feelings_full_av"]
    assert found["n_items"] == 12
    assert found["not_asked"] == {"the label 'calm', which the task leaves out": 4}
    assert found["metrics"]["accuracy"]["value"] > 0.8  # type: ignore[index]
    assert found["details"]["labels"] == ["joy", "rage", "sadness"]  # type: ignore[index]
    assert main(["report", str(tmp_path / "baseline")]) == 0
    ask(tmp_path, "random", task)
    assert main(["compare", str(tmp_path / "random"), str(tmp_path / "baseline")]) == 0


@pytest.mark.parametrize(("model", "stream"), [("audio-oracle", "aar"), ("video-oracle", "var")])
def test_conflict_pairs_join_the_tasks_opposites(tmp_path: Path, release: Path, model: str, stream: str) -> None:
    found = ask(tmp_path, model, write_task(tmp_path, release, "conflict"))["feelings_conflict"]
    assert found["n_items"] == 8
    assert found["metrics"][stream]["value"] == 1.0  # type: ignore[index]
