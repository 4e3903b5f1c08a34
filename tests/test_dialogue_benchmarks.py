"""Benchmarks of emotional intelligence in dialogue: every task, asked of a tree as its authors lay it out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.answering_server import answering
from support.benchmark_walk import SMALL, Expected, run, tiny_qwen, walk
from support.chat_server import MODEL, ChatServer, running
from support.dialogue_trees import write_humdial, write_speecheq
from support.graded_runs import says
from support.whole_runs import results_of

from avemo_harness.cli import EXIT_USAGE, main


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen(tmp_path_factory)


def questions(walked: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (walked / "questions" / "requests.jsonl").read_text().splitlines()]


def said(question: Mapping[str, Any]) -> str:
    return json.dumps(question["messages"])


def sounds(question: Mapping[str, Any]) -> int:
    return sum(part["type"] != "text" for message in question["messages"] for part in message["content"])


@pytest.mark.slow
def test_speecheq_asks_for_the_fitting_rendition_of_two_sentences_of_each_conversation(
    tmp_path: Path, qwen: Path
) -> None:
    root = write_speecheq(tmp_path / "SpeechEQ-Arena")
    walked = walk(tmp_path, {"speecheq": Expected(asked=12, right=160.0)}, [f"speecheq={root}"], qwen)
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


HUMDIAL = [f"humdial_{asked}_{language}" for asked in ("trajectory", "reasoning") for language in ("zh", "en")]


@pytest.mark.slow
def test_humdial_asks_about_the_conversations_whose_recordings_are_heard_and_grades_by_what_was_felt(
    tmp_path: Path, qwen: Path
) -> None:
    root = write_humdial(tmp_path / "HD-Track1-Test")
    words = ["--tasks", ",".join(HUMDIAL), "--dataset", f"humdial={root}"]
    run("requests", *words, "--out", str(tmp_path / "questions"))
    asked = questions(tmp_path)
    assert sorted(map(sounds, asked)) == sorted([3, 4, 5] * 4)
    assert not any(word in said(question) for question in asked for word in ("anger", "neutral", "Turn ", "change"))
    answers = [{"item": question["item"], "task": question["task"], "text": "From joy to fear."} for question in asked]
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    with answering(lambda _: says('{"reason": "all of it", "grade": 5}')) as grader, running(ChatServer()) as server:
        models = {
            "replies": f"path={tmp_path / 'answers'}",
            "qwen2.5-omni": f"pretrained={qwen},{SMALL}",
            "openai": f"base_url={server.url},model={MODEL}",
        }
        graded = ["--grader_args", f"base_url={grader.url},model={MODEL}"]
        for model, args in models.items():
            run("--model", model, "--model_args", args, *words, *graded, "--output_path", str(tmp_path / model))
    for model in models:
        for task in HUMDIAL:
            found = results_of(tmp_path / model)["tasks"][task]
            assert (found["status"], found["n_items"], found["n_errors"]) == ("complete", 3, 0)
            assert found["metrics"]["rubric_mean"]["value"] == 5.0
    seen = [payload["messages"][-1]["content"] for payload in grader.payloads]
    assert any("From joy to fear." in text for text in seen)
    assert all(
        "[neutral] How did I change" in text and re.search(r"\[(anger|surprise|fear)\] Turn ", text) for text in seen
    )


def test_humdial_counts_conversations_without_a_recording_and_names_the_column_that_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_humdial(tmp_path / "HD-Track1-Test")
    words = ["--tasks", "humdial_reasoning_en", "--dataset", f"humdial={root}", "--out"]
    (root / "en" / "HD-Track1-T2" / "en_0002_0001_4.wav").unlink()
    run("requests", *words, str(tmp_path / "questions"))
    assert len(questions(tmp_path)) == 2
    assert "en_0002_0001_4.wav" in capsys.readouterr().err
    table = root / "en" / "HD-Track1-T2.jsonl"
    table.write_text(table.read_text().replace('"emotion"', '"feeling"'))
    assert main(["requests", *words, str(tmp_path / "others")]) == EXIT_USAGE
    assert "emotion" in capsys.readouterr().err


def test_speecheq_says_which_folder_it_wants_and_counts_conversations_without_a_rendition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_speecheq(tmp_path / "SpeechEQ-Arena", 2)
    words = ["requests", "--tasks", "speecheq", "--out"]
    assert main([*words, str(tmp_path / "none"), "--dataset", f"speecheq={root / 'data'}"]) == EXIT_USAGE
    assert "holds no data/*/*/metadata.json; give the corpus' own folder: speecheq=DIR" in capsys.readouterr().err
    # The second rendition of sentence 6 of the first conversation.
    (root / "data" / "decision_making_reality_testing" / f"20260308_230000_{0:012x}" / "audio" / "08.mp3").unlink()
    run(*words, str(tmp_path / "questions"), "--dataset", f"speecheq={root}")
    assert [sounds(question) for question in questions(tmp_path)] == [5, 5, 7]
    assert "audio/08.mp3" in capsys.readouterr().err
