"""Benchmarks of emotional intelligence in dialogue: every task, asked of a tree as its authors lay it out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.benchmark_walk import Expected, tiny_qwen, walk
from support.dialogue_trees import write_speecheq
from support.whole_runs import results_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen(tmp_path_factory)


def questions(walked: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (walked / "questions" / "requests.jsonl").read_text().splitlines()]


def said(question: Mapping[str, Any]) -> str:
    return json.dumps(question["messages"])


def sounds(question: Mapping[str, Any]) -> int:
    return sum(part["type"] != "text" for message in question["messages"] for part in message["content"])


def test_speecheq_asks_for_the_fitting_rendition_of_two_sentences_of_each_conversation(
    tmp_path: Path, qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_speecheq(tmp_path / "SpeechEQ-Arena")
    monkeypatch.chdir(root)
    walked = walk(tmp_path, {"speecheq": Expected(asked=12, right=160.0)}, [], qwen)
    oracle = results_of(walked.oracle)["tasks"]["speecheq"]["metrics"]
    assert [oracle[name]["value"] for name in ("accuracy", "trajectory_accuracy", "position_bias")] == [1.0, 1.0, 0.0]
    nothing = results_of(walked.nothing)["tasks"]["speecheq"]["metrics"]
    assert (nothing["accuracy"]["value"], nothing["seq"]["value"]) == (0.0, pytest.approx(43.73, abs=0.01))
    asked = questions(tmp_path)
    # Three sentences and five before the two renditions.
    assert [sounds(question) for question in asked] == [5, 7] * 6
    for question in asked:
        assert "Alex tells of scene" in said(question)
        assert not any(word in said(question) for word in ("high", "low tone", "Warm", "Evader", "audio/0"))
