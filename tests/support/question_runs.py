"""Runs of choices, numbers and texts on a release that is made in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.one_by_one import OneByOne

from avemo_harness import evaluate
from avemo_harness.benchmark.release import Clip, Dialogue, Release, Turn, make_release
from avemo_harness.benchmark.request import Request, Response, Text
from avemo_harness.models.base import Capabilities, OmniModel
from avemo_harness.run import releases

OPTIONS = ("laughter is heard", "the voice breaks", "nothing moves", "shouting")


def asked_turn(
    index: int,
    answer: str | None,
    choices: Sequence[str | Clip] = (),
    clip: Clip | None = None,
    said: str | None = None,
) -> Turn:
    """A turn of the user that a question is asked about."""
    return Turn(
        index,
        "user",
        f"speaker{index}",
        said or f"sentence {index}",
        None,
        clip=clip,
        choices=tuple(choices),
        answer=answer,
    )


def choice_release(dialogues: int, turns: int = 1, options: int = 4, answer: int = 0) -> Release:
    """Dialogues in which each turn has the same options, of which one is always right."""
    choices = OPTIONS[:options]
    return release_of_turns(
        [
            [asked_turn(t, str(answer), choices, said=f"sentence {t} of {i}") for t in range(turns)]
            for i in range(dialogues)
        ]
    )


def release_of_turns(dialogues: Sequence[Sequence[Turn]]) -> Release:
    rows = [Dialogue(f"d{i:03}", "test", "en", "CC0-1.0", tuple(turns)) for i, turns in enumerate(dialogues)]
    return make_release("table", "default", "test", None, rows, ())


CHOICE: Mapping[str, Any] = {
    "output": {"type": "choice"},
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "{{ turn.text }}: which fits?"}, {"type": "choices"}]}
    ],
    "scorers": [{"name": "choice", "metrics": ["accuracy", "position_bias", "consistency"]}],
    "headline": "accuracy",
}


@dataclass(frozen=True)
class QuestionBench:
    """A release in memory, and tasks on it."""

    folder: Path
    release: Release

    @classmethod
    def of(cls, folder: Path, release: Release, monkeypatch: pytest.MonkeyPatch) -> QuestionBench:
        monkeypatch.setattr(releases, "load_release", lambda *_: release)
        return cls(folder, release)

    def task(self, name: str = "which", **changes: Any) -> Path:
        """The YAML of a task; a choice unless its keys say otherwise."""
        known = {"task": name, "version": 1, "dataset": {"path": "table", "name": "default"}, "condition": "full_av"}
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump({**known, "context": {"turns": "none"}, **CHOICE, **changes}))
        return file

    def run(self, model: OmniModel | str, task: Path, name: str | None = None, **options: Any) -> Any:
        """Ask a model; returns the results, whose folder is ``folder / name``."""
        name = name or (model if isinstance(model, str) else str(model.identity()["model"]))
        return evaluate(model, str(task), output_path=self.folder / name, **options)


@dataclass(frozen=True)
class Saying(OneByOne):
    """Answers by a function of the request."""

    name: str
    says: Callable[[Request], str]

    capabilities = Capabilities(frozenset({"label_text", "text"}), largest_batch=16)

    def answer(self, request: Request) -> Response:
        return Response(text=self.says(request))


def question_of(request: Request) -> str:
    """The words of the last message."""
    return "".join(block.text for block in request.messages[-1].content if isinstance(block, Text))


def letter_of(option: str) -> Callable[[Request], str]:
    """An oracle: says the letter that an option stands behind."""
    return lambda request: next(line[0] for line in question_of(request).splitlines() if line.endswith(option))


def with_answers(release: Release, answer: str) -> Release:
    """The release with another true answer to every turn."""
    dialogues = [
        replace(dialogue, turns=tuple(replace(turn, answer=answer) for turn in dialogue.turns))
        for dialogue in release.dialogues
    ]
    return make_release(release.source, release.name, release.split, None, dialogues, ())
