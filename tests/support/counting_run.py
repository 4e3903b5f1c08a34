"""Run as a script: evaluate a model that notes every request it is asked, so that a test sees what was asked twice.

Usage: counting_run.py RUN_DIR TASK_YAML LOG BATCH_SIZE SECONDS_A_BATCH GATE

It answers when the gate, a file, is there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.models.base import Capabilities


class NotingModel:
    """Answers by the request's seed, slowly, and appends each request's key to a log before it answers."""

    capabilities = Capabilities(outputs=frozenset({"label_text"}), largest_batch=64)

    def __init__(self, log: str, seconds: float, gate: Path) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._seconds, self._gate = seconds, gate

    def identity(self) -> Mapping[str, str]:
        return {"model": "noting"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        os.write(self._log, "".join(f"{request.key}\n" for request in requests).encode())
        time.sleep(self._seconds)
        while not self._gate.exists():
            time.sleep(0.01)
        return [Response(text=request.output.labels[request.seed % 4]) for request in requests]


if __name__ == "__main__":
    run, task, log, batch_size, seconds, gate = sys.argv[1:]
    evaluate(NotingModel(log, float(seconds), Path(gate)), [task], output_path=run, batch_size=int(batch_size))
