"""Checkpoints of the Hub, from a server that behaves like it.

`huggingface_hub` reads its settings when it is imported, so everything runs in processes of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.hub_server import HubServer, Repository, serve

NAME = "maker/tiny-omni"
READER = """
import json, sys
from avemo_harness.errors import ModelError
from avemo_harness.models.weights import resolve
answers = []
for pretrained, revision in json.loads(sys.argv[1]):
    try:
        found = resolve(pretrained, revision)
        content, commit = found.weights.content, found.weights.revision
        answers.append({"weights": content, "revision": commit, "dtype": found.dtype("auto")})
    except ModelError as error:
        answers.append({"refused": str(error)})
print(json.dumps(answers))
"""
ASKER = """
import sys
from avemo_harness.models import load_model
from avemo_harness.models.base import ModelSetup
sys.path.insert(0, sys.argv[3])
from support.questions import ask, clip
model = load_model("qwen2.5-omni", {"pretrained": sys.argv[1], "min_pixels": 3136, "max_pixels": 12544}, ModelSetup())
print(model.identity()["weights"])
for one in ("label", "reply"):
    answer = model.generate([ask(clip(1.0), output=one)])[0]
    assert answer.error is None, answer.error
"""


@pytest.fixture
def hub(qwen_folder: Path) -> Iterator[HubServer]:
    with serve(Repository.of_folder(NAME, qwen_folder, ("main", "v1"))) as running:
        yield running


def run(program: str, hub: HubServer, home: Path, *words: str, **settings: str) -> str:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", **settings}
    done = subprocess.run(
        [sys.executable, "-c", program, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def resolved(hub: HubServer, home: Path, *wanted: tuple[str, str | None], **settings: str) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = json.loads(run(READER, hub, home, json.dumps(wanted), **settings))
    return answers


@pytest.mark.slow
def test_a_checkpoint_is_known_by_its_commit_also_without_the_hub(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.repositories[NAME].commit
    expected = {"weights": f"{NAME}@{commit}", "revision": commit, "dtype": "float32"}
    wanted = [(NAME, None), (NAME, "v1"), (NAME, commit)]
    assert resolved(hub, tmp_path, *wanted) == [expected] * 3
    hub.log.clear()
    assert resolved(hub, tmp_path, *wanted, HF_HUB_OFFLINE="1") == [expected] * 3
    assert hub.log == []
    hub.fault = "cut every answer"
    assert resolved(hub, tmp_path, (NAME, "v1")) == [expected]


@pytest.mark.slow
def test_what_the_hub_refuses_is_said(hub: HubServer, tmp_path: Path) -> None:
    answers = resolved(hub, tmp_path, ("maker/nothing", None), (NAME, "v9"))
    assert all("the Hub refuses it" in answer["refused"] for answer in answers)
    assert "maker/nothing" in answers[0]["refused"]
    assert f"{NAME}@v9" in answers[1]["refused"]
    repositories = hub.repositories
    assert isinstance(repositories, dict)
    repositories[NAME] = replace(repositories[NAME], refusal=403)
    assert "the Hub refuses it" in resolved(hub, tmp_path, (NAME, None))[0]["refused"]


@pytest.mark.slow
def test_a_model_of_the_hub_answers_and_speaks(hub: HubServer, tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    said = run(ASKER, hub, tmp_path, NAME, "", tests)
    assert said.strip() == f"{NAME}@{hub.repositories[NAME].commit}"
