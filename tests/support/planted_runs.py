"""Runs on a release of text whose every answer is planted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from support.one_by_one import OneByOne
from support.releases import write_text_release, write_text_task

from avemo_harness import evaluate
from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.models.base import Capabilities

Turn = tuple[int, int]
"""Number of a dialogue, and which of its user turns."""


@dataclass(frozen=True)
class Planted(OneByOne):
    """Names the emotion of every turn but the wrong ones, where it says the next emotion; some turns fail."""

    name: str
    wrong: Collection[Turn] = ()
    failing: Collection[Turn] = ()

    capabilities = Capabilities(frozenset({"label_text"}), largest_batch=64)

    def answer(self, request: Request) -> Response:
        turn = int(request.dialogue_id[1:]), request.turn_index // 2
        if turn in self.failing:
            return Response(error="GenerationError: planted")
        return Response(text=EMOTIONS[(sum(turn) + (turn in self.wrong)) % 4])


@dataclass(frozen=True)
class TextBench:
    """A release of text, and a task on it."""

    folder: Path
    release: Path
    task: Path

    @classmethod
    def of(cls, folder: Path, dialogues: int, turns: int = 1) -> TextBench:
        """Make one."""
        release = write_text_release(folder / "release", dialogues, turns)
        return cls(folder, release, write_text_task(folder / "text_only.yaml", release))

    def run(self, model: Planted, name: str | None = None, **options: object) -> Path:
        """Run a planted model on the task; returns the run directory."""
        folder = self.folder / (name or model.name)
        evaluate(model, str(self.task), output_path=folder, **options)
        return folder


def write_condition_tasks(folder: Path, release: Path) -> Path:
    """A group of three tasks that ask the same under the names of the three conditions, and the row that they fill."""
    folder.mkdir()
    for name in ("full_av", "audio_only", "video_only"):
        task = write_text_task(folder / f"{name}.yaml", release, name, "group: mine\n")
        task.write_text(task.read_text().replace("condition: full_av", f"condition: {name}"))
    columns = ", ".join(
        f"{{name: {column}, condition: {condition}, metric: {metric}}}"
        for column, condition, metric in (
            ("Acc_AV", "full_av", "accuracy"),
            ("F1_AV", "full_av", "macro_f1"),
            ("Acc_A", "audio_only", "accuracy"),
            ("Acc_V", "video_only", "accuracy"),
        )
    )
    (folder / "group.yaml").write_text(f"group: mine\ntitle: Mine\ncolumns: [{columns}]\n")
    return folder
