"""Runs whose spoken replies are tones, for studies to be planned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from support.one_by_one import OneByOne

from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.models.base import Capabilities
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import prepare

TASK = "multiturn_synthetic_reply"


@dataclass(frozen=True)
class Tones(OneByOne):
    """Replies with a tone of its own pitch, loudness and rate.

    Args:
        silent: dialogues that it answers without speech.
    """

    name: str
    hz: float = 440.0
    level: float = 0.1
    rate: int = 24_000
    silent: frozenset[str] = frozenset()

    capabilities = Capabilities(frozenset({"spoken_response"}), largest_batch=8)

    def answer(self, request: Request) -> Response:
        if request.dialogue_id in self.silent:
            return Response(text="no sound")
        time = np.arange(int(0.6 * self.rate)) / self.rate
        hz = self.hz + 10 * request.turn_index + crc32(request.dialogue_id.encode()) % 200
        sound = self.level * np.sin(2 * np.pi * hz * time)
        return Response(text="a tone", speech=Speech(sound.astype(np.float32), self.rate))


def write_run(folder: Path, release: Path, model: Tones) -> Path:
    """Run a model on the replies of a release, without judging them."""
    config = RunConfig(model=model.name, tasks=(TASK,), dataset=str(release))
    prepare(config, output_path=folder, model=model).ask()
    return folder
