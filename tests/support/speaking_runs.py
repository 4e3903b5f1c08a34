"""Runs of a model that names emotions and replies in tones, judged by a planted judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support.one_by_one import OneByOne
from support.planted_judge import LevelJudge, plant

from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.models.base import Capabilities
from avemo_harness.report.results import score_run
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import judge_replies, prepare

GROUP = "multiturn_synthetic"


@dataclass(frozen=True)
class Speaker(OneByOne):
    """Answers every label question alike, replies with a tone, and fails on some dialogues.

    Args:
        says: the answer to label questions.
        failing: dialogues whose label questions fail.
    """

    says: str = "happy"
    failing: frozenset[str] = frozenset()

    capabilities = Capabilities(frozenset({"label_text", "spoken_response"}), largest_batch=16)

    def identity(self) -> Mapping[str, str]:
        return {"model": "speaker", "says": self.says}

    def answer(self, request: Request) -> Response:
        if not isinstance(request.output, LabelOutput):
            time = np.arange(12_000 + 800 * request.turn_index) / 16_000
            tone = 0.1 * np.sin(2 * np.pi * (300 + 20 * request.turn_index) * time)
            return Response(text=self.says, speech=Speech(tone.astype(np.float32), 16_000))
        if request.dialogue_id in self.failing:
            return Response(error=f"GenerationError: {self.says}")
        return Response(text=self.says)


def write_speaking_run(folder: Path, release: Path, model: Speaker, **options: object) -> Path:
    """Ask, judge and score the whole group, or other `tasks`; returns the run directory."""
    asked = {"tasks": (GROUP,), **options}
    config = RunConfig(model="speaker", dataset=str(release), **asked)  # type: ignore[arg-type]  # typed by RunConfig
    prepared = prepare(config, output_path=folder, model=model)
    prepared.ask()
    with pytest.MonkeyPatch.context() as patch:
        plant(patch, LevelJudge())
        judge_replies(folder, "embedded", prepared.releases)
    score_run(folder)
    return folder
