"""Functions of the tests, run by another interpreter: that of an environment with transformers 4.45.0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from support.waiting import PATIENCE_S

from avemo_harness.benchmark.request import Response
from avemo_harness.models.worker.hosted import STAND_INS
from avemo_harness.torch_setup import import_transformers

ROOT = Path(__file__).parents[2]


def run_there(python: Path | str, function: str, scratch: Path, *arguments: str) -> Any:
    """The result of a function there, through JSON.

    Args:
        function: ``module:name`` of one that takes strings.
        scratch: an empty folder, for the answer and for what the environment caches.
    """
    answer = scratch / "answer.json"
    done = subprocess.run(
        [str(python), __file__, function, str(answer), *arguments],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTEST_"))},
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(STAND_INS)]),
            "HF_HOME": str(scratch / "hf"),
            "AVEMO_CACHE": str(scratch / "cache"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        },
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    if done.returncode:
        raise RuntimeError(f"{function} failed there:\n{done.stderr[-6000:]}")
    return json.loads(answer.read_text(encoding="utf-8"))


def plain(response: Response) -> dict[str, Any]:
    """A response as JSON takes it."""
    speech = response.speech
    return {
        "text": response.text,
        "labels": None if response.label_logprobs is None else dict(response.label_logprobs),
        "priors": None if response.label_priors is None else dict(response.label_priors),
        "speech": None if speech is None else [float(sample) for sample in speech.samples],
        "rate": None if speech is None else speech.rate_hz,
        "prompt_tokens": response.prompt_tokens,
        "new_tokens": response.new_tokens,
        "flags": list(response.flags),
        "error": response.error,
    }


def plain_all(responses: Sequence[Response]) -> list[dict[str, Any]]:
    """Responses as JSON takes them."""
    return [plain(response) for response in responses]


def _main() -> None:
    function, answer, *arguments = sys.argv[1:]
    module, name = function.split(":")
    import_transformers()
    result: Mapping[str, Any] = getattr(import_module(module), name)(*arguments)
    Path(answer).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    _main()
