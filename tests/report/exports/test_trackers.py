"""Logging to a tracker: the numbers and their names, and a sentence where the tracker is not installed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.planted_runs import Planted, TextBench

from avemo_harness.cli import main
from avemo_harness.report.exports.formats import settings
from avemo_harness.report.scored_run import read_scored_run


class Recorder(ModuleType):
    """Stands for a tracker's package and keeps what it is told."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.started: dict[str, Any] = {}
        self.logged: dict[str, float] = {}
        self.finished = False

    def init(self, **options: Any) -> None:
        self.started = options

    def log(self, numbers: dict[str, float]) -> None:
        self.logged.update(numbers)

    def finish(self) -> None:
        self.finished = True


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TextBench.of(tmp_path_factory.mktemp("tracked"), dialogues=40).run(Planted("mine"))


@pytest.mark.parametrize("tracker", ["trackio", "wandb"])
def test_every_metric_is_logged_by_task_and_name(tracker: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = Recorder(tracker)
    monkeypatch.setitem(sys.modules, tracker, package)
    assert main(["export", str(run), f"--{tracker}", "emotions"]) == 0
    assert package.started["project"] == "emotions"
    assert package.started["name"] == "mine"
    assert package.started["config"]["model"] == "mine"
    assert package.started["config"]["partial"] is package.started["config"]["provisional"] is False
    assert package.started["config"]["text_only/comparable"] is True
    assert package.started["config"]["text_only/setup"] == "full-av, greedy, labels generated, judge=none"
    assert package.logged["text_only/accuracy"] == 1.0
    assert package.logged["text_only/accuracy/ci_low"] == pytest.approx(0.912, abs=5e-4)
    assert package.logged["text_only/n_errors"] == 0.0
    assert package.finished


def test_what_leaves_doubt_goes_with_the_numbers(run: Path) -> None:
    whole = read_scored_run(run)
    task = replace(whole.result.tasks["text_only"], comparable=False)
    result = replace(
        whole.result, partial=True, provisional=True, tasks={"text_only": task}, identity={"model": "/home/ann/qwen"}
    )
    told = settings(replace(whole, result=result))
    assert (told["partial"], told["provisional"], told["text_only/comparable"]) == (True, True, False)
    assert told["text_only/setup"].endswith("partial, provisional")
    assert told["model"] == told["identity/model"] == "…/qwen"


def test_a_tracker_that_is_not_installed_is_one_sentence(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    assert main(["export", str(run), "--trackio", "emotions"]) == 2
    assert capsys.readouterr().err == "avemo-eval: --trackio needs the package trackio: pip install trackio\n"
