"""Runs of spoken replies that a planted judge follows, and the lines that they leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonlines
from support.clips import melody
from support.synthetic_release import CONFIG

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.models.base import Capabilities
from avemo_harness.report.results import RunResult

TASK = f"{CONFIG}_reply"


class Speaking:
    """Says a melody to every turn; what it says to chosen turns is a planted answer."""

    capabilities = Capabilities(frozenset({"spoken_response"}), largest_batch=4)

    def __init__(self, planted: Mapping[tuple[str, int], Response] | None = None) -> None:
        self.planted, self.asked = dict(planted or {}), 0

    def identity(self) -> Mapping[str, str]:
        return {"model": "speaking"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        self.asked += len(requests)
        said = Response(text="I see.", speech=Speech(melody(1.0, seed=5), 16_000))
        return [self.planted.get((one.dialogue_id, one.turn_index), said) for one in requests]


def run(release: Path, folder: Path, model: Speaking | None = None, **options: object) -> RunResult:
    return evaluate(model or Speaking(), TASK, dataset=str(release), output_path=folder, **options)


def rows_of(folder: Path, part: str, newest: bool = False) -> list[dict[str, Any]]:
    """The lines of every file of a part of a run, or of the file that was written last."""
    files = sorted((folder / part).glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    found: list[dict[str, Any]] = []
    for path in files[-1:] if newest else files:
        with jsonlines.open(path) as lines:
            found += list(lines)
    return found
