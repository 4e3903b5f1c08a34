"""Runs whose answers are texts that a model behind a server grades by a rubric, and what such servers say."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import yaml
from support.answering_server import MODEL, choice, completion
from support.releases import write_text_release
from support.waiting import PATIENCE_S

from avemo_harness import RunResult, evaluate
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.models.base import Capabilities

RUBRIC = """How well does the answer name the feeling in the question? 1: not at all, 5: exactly.
Question: {{ question }}
Answer: {{ answer }}
{% if reference %}A good answer: {{ reference }}{% endif %}
{{ history }}"""


class Telling:
    """Tells something of its own to each question, after a thought if it has one."""

    capabilities = Capabilities(frozenset({"label_text", "text", "spoken_response"}), largest_batch=16)

    def __init__(self, kinds: int = 1_000_000, thought: str = "") -> None:
        self._kinds, self._thought = kinds, thought

    def identity(self) -> Mapping[str, str]:
        return {"model": "telling", "kinds": str(self._kinds)}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [
            Response(text=f"{self._thought}answer {int(request.key[:8], 16) % self._kinds}") for request in requests
        ]


def write_graded_task(
    file: Path, release: Path, url: str, changes: Mapping[str, Any] = MappingProxyType({}), **parameters: Any
) -> Path:
    """A task of texts whose grader is behind a server.

    Args:
        changes: of the task's keys.
        parameters: of its rubric.
    """
    grader = {"grader": "openai", "grader_args": {"base_url": url, "model": MODEL, "timeout_s": PATIENCE_S}}
    content = [{"type": "text", "text": "How does it feel to say: {{ turn.text }}?"}]
    task = {
        "task": file.stem,
        "version": 1,
        "dataset": {"path": str(release), "name": "text"},
        "condition": "full_av",
        "messages": [{"role": "user", "content": content}],
        "output": {"type": "text"},
        "scorers": [
            {
                "name": "rubric",
                "metrics": ["rubric_mean", "rubric_pass"],
                "parameters": {**grader, "rubric": RUBRIC, **parameters},
            }
        ],
        "headline": "rubric_mean",
    }
    file.write_text(yaml.safe_dump({**task, **changes}, sort_keys=False), encoding="utf-8")
    return file


def run_graded(folder: Path, url: str, *, dialogues: int = 12, kinds: int = 1_000_000, **parameters: Any) -> RunResult:
    """Ask a model and have its answers graded: the run is in `run`, its task in `told.yaml`."""
    release = write_text_release(folder / "data", dialogues)
    task = write_graded_task(folder / "told.yaml", release, url, **parameters)
    return evaluate(Telling(kinds), str(task), output_path=folder / "run")


def run_graded_group(folder: Path, url: str, **parameters: Any) -> RunResult:
    """As `run_graded`, of a task that fills the column `Told` of the group `tales`."""
    release = write_text_release(folder / "data", 12)
    (folder / "tasks").mkdir(parents=True)
    columns = [{"name": "Told", "condition": "full_av", "metric": "rubric_mean"}]
    group = {"group": "tales", "title": "Tales", "columns": columns}
    (folder / "tasks" / "tales.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")
    task = write_graded_task(folder / "tasks" / "told.yaml", release, url, **parameters)
    task.write_text(task.read_text(encoding="utf-8") + "group: tales\n", encoding="utf-8")
    return evaluate(Telling(), "told", output_path=folder / "run", include_path=[str(folder / "tasks")])


def answer_in(payload: Mapping[str, Any]) -> str:
    """The answer that a request asks a grade for."""
    found = re.search(r"Answer: (.*)", payload["messages"][-1]["content"])
    assert found
    return found[1]


def grade_of(answer: str) -> int:
    """The grade that these servers give an answer, from 1 to 5."""
    return 1 + int(hashlib.sha256(answer.encode()).hexdigest()[:8], 16) % 5


def says(content: str) -> tuple[int, Mapping[str, Any]]:
    return 200, completion(choice(content=content))


def grading(payload: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """A server that grades every answer."""
    answer = answer_in(payload)
    return says(json.dumps({"reason": f"it says {answer}", "grade": grade_of(answer)}))


Fault = Literal["500", "garbage", "slow", "truncated", "off the scale"]
FAULTS: tuple[Fault, ...] = ("500", "garbage", "slow", "truncated", "off the scale")


@dataclass
class FaultyGrader:
    """A server that grades, and fails in a share of attempts, by request and attempt alone.

    Args:
        asked: attempts of each answer.
        graded: how often each answer was given a grade.
    """

    rate: float = 0.2
    asked: Counter[str] = field(default_factory=Counter)
    graded: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def __call__(self, payload: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
        answer = answer_in(payload)
        self.asked[answer] += 1
        draw = int(hashlib.sha256(f"{answer} {self.asked[answer]}".encode()).hexdigest()[:12], 16)
        if draw / 16**12 >= self.rate:
            self.graded[answer] += 1
            return grading(payload)
        fault = FAULTS[draw % len(FAULTS)]
        self.failed[fault] += 1
        if fault == "500":
            return 500, {"error": {"message": "CUDA error"}}
        if fault == "slow":
            return 504, {"error": {"message": "upstream request timeout"}}
        told = {
            "garbage": "Well, as I said.",
            "truncated": '{"reason": "He named 3 feel',
            "off the scale": '{"grade": 50}',
        }
        return says(told[fault])
