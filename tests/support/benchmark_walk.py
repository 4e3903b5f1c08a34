"""Tasks of a benchmark asked of every kind of model: by a tiny Qwen2.5-Omni, by files, and by a server on loopback.

Data, questions and answers go the whole way of the command. Nothing here knows a benchmark: a test writes a tree of its
corpus in the documented layout, imports it, and says which tasks are asked of how many items.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import MODEL, ChatServer, running
from support.whole_runs import results_of

from avemo_harness.cli import main

SMALL = "talker_max_new_tokens=20,min_pixels=3136,max_pixels=12544"
"""Settings with which a tiny model answers in little time."""
NO_ANSWER = "???"
"""An answer that is no label, no letter and no number."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The questions of a task.

    Args:
        asked: how many there are.
        not_asked: how many turns are left out, by the reason that results have, such as ``no face``.
        right: value of the headline where every answer is the true one; None where no answer is.
    """

    asked: int
    not_asked: Mapping[str, int] = field(default_factory=dict)
    right: float | None = 1.0


@dataclass(frozen=True, slots=True)
class Walked:
    """The folders of the runs that a walk left: answers that are none, true ones, and those of models."""

    nothing: Path
    oracle: Path
    qwen: Path
    openai: Path

    @property
    def runs(self) -> tuple[Path, ...]:
        return self.nothing, self.oracle, self.qwen, self.openai


@cache
def _checkpoint(base: Path) -> Path:
    from support.tiny_qwen_omni import build

    from avemo_harness.torch_setup import repair_torchvision

    repair_torchvision()
    return build(base / "walk" / "qwen")


def tiny_qwen(factory: pytest.TempPathFactory) -> Path:
    """The checkpoint that all walks of a process share; made by the first."""
    return _checkpoint(factory.getbasetemp())


def run(*words: str) -> None:
    """The command, which must succeed."""
    assert main(list(words)) == 0, " ".join(words)


def walk(folder: Path, tasks: Mapping[str, Expected], dataset: Sequence[str], checkpoint: Path, *more: str) -> Walked:
    """Ask tasks of everything that answers, and check what was asked, what was left out, and that the truth is right.

    Args:
        folder: where questions and runs are written.
        tasks: by name, each with its questions.
        dataset: values of ``--dataset``, such as ``ravdess=DIR``; none where tasks find their data themselves.
        checkpoint: of `tiny_qwen`.
        more: further words of every command, such as ``--include_path DIR``.
    """
    asked = ["--tasks", ",".join(tasks), *(word for value in dataset for word in ("--dataset", value)), *more]
    run("requests", *asked, "--out", str(folder / "questions"))
    questions = _lines(folder / "questions" / "requests.jsonl")
    nothing = _answered(folder, "nothing", asked, [_answer(question, None) for question in questions])
    gold = {(item["task"], item["item_id"]): item["gold"] for item in _items(nothing)}
    asked_as = {question["task"]: question for question in questions}
    true = [_answer({**asked_as[task], "item": item_id}, label) for (task, item_id), label in gold.items()]
    walked = Walked(nothing, _answered(folder, "oracle", asked, true), folder / "qwen", folder / "openai")
    run("--model", "qwen2.5-omni", "--model_args", f"pretrained={checkpoint},{SMALL}", *asked, *_to(walked.qwen))
    with running(ChatServer()) as server:
        run("--model", "openai", "--model_args", f"base_url={server.url},model={MODEL}", *asked, *_to(walked.openai))
    for name, expected in tasks.items():
        wanted = asked_as[name]["output"]
        for of_run in walked.runs:
            found = results_of(of_run)["tasks"][name]
            if of_run != walked.openai or found["status"] != "skipped":
                _check(name, expected, found)
            else:
                assert wanted == "label_logprobs", (name, found["reason"])
        if expected.right is not None:
            found = results_of(walked.oracle)["tasks"][name]
            assert found["metrics"][found["headline"]]["value"] == pytest.approx(expected.right), name
        if wanted == "label":
            assert results_of(walked.nothing)["tasks"][name]["n_invalid"] == expected.asked, name
    return walked


def _to(folder: Path) -> list[str]:
    return ["--output_path", str(folder)]


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _items(run_folder: Path) -> list[dict[str, Any]]:
    return [line for file in sorted((run_folder / "items").glob("*.jsonl")) for line in _lines(file)]


def _answer(question: Mapping[str, Any], true: str | None) -> dict[str, Any]:
    """A line of answers: the true one, or one that means nothing."""
    answer = {"item": question["item"], "task": question["task"]}
    if question["output"] == "label_logprobs":
        return {**answer, "label_logprobs": {label: -0.1 if label == true else -4.0 for label in question["labels"]}}
    return {**answer, "text": NO_ANSWER if true is None else true}


def _answered(folder: Path, name: str, asked: Sequence[str], answers: Sequence[Mapping[str, Any]]) -> Path:
    """A run on answers that are written into a file."""
    answers_folder = folder / f"{name}-answers"
    answers_folder.mkdir(parents=True)
    text = "".join(json.dumps(answer) + "\n" for answer in answers)
    (answers_folder / "answers.jsonl").write_text(text, encoding="utf-8")
    run("--model", "replies", "--model_args", f"path={answers_folder}", *asked, *_to(folder / name))
    return folder / name


def _check(name: str, expected: Expected, found: Mapping[str, Any]) -> None:
    assert found["status"] == "complete", (name, found["status"], found.get("reason"))
    assert (found["n_items"], found["n_errors"]) == (expected.asked, 0), name
    assert found.get("not_asked", {}) == dict(expected.not_asked), name
