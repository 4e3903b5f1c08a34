"""Benchmarks on the Hub, in the layouts of their cards, asked of every kind of model.

`huggingface_hub` reads its settings when it is imported, so the walk runs in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.benchmark_walk import tiny_qwen
from support.hub_server import Repository, hub_environment, serve
from support.small_tables import parquet, voice
from support.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

WALK = """
import json, sys
from pathlib import Path
from support.benchmark_walk import Expected, walk
folder, checkpoint, tasks = json.loads(sys.argv[1])
walk(Path(folder), {name: Expected(count) for name, count in tasks.items()}, [], Path(checkpoint))
"""
CARD = """---
license: {licence}
language: {language}
dataset_info:
  features:
{features}  splits:
  - name: {split}
    num_examples: {count}
configs:
- config_name: default
  data_files:
  - split: {split}
    path: data/{split}-*
---
# Card
"""


def repository(
    name: str, split: str, types: Mapping[str, str], rows: Sequence[Mapping[str, Any]], revisions: tuple[str, ...] = ()
) -> Repository:
    """A data set with one Parquet file a split, and a card that states the types of its columns."""
    from datasets import Audio, Features, Value

    features = Features({key: Audio() if kind == "audio" else Value(kind) for key, kind in types.items()})
    lines = "".join(f"  - name: {key}\n    dtype: {kind}\n" for key, kind in types.items())
    card = CARD.format(licence="mit", language="en", features=lines, split=split, count=len(rows))
    files = {"README.md": card.encode(), f"data/{split}-00000-of-00001.parquet": parquet(rows, features)}
    return Repository(name, files, ("main", *revisions))


def recording(number: int, name: str) -> dict[str, Any]:
    return {"bytes": voice(number), "path": name}


SPOKEN = ["anger", "disgust", "sadness", "joy", "neutral", "surprise", "fear"]
ASKED = (
    "Recognize and organize the emotional expressions in the spoken words. "
    "The answer could be anger, disgust, sadness, joy, neutral, surprise, or fear."
)
DYNAMIC_SUPERB = repository(
    "DynamicSuperb/EmotionRecognition_MultimodalEmotionlinesDataset",
    "test",
    {"file": "string", "audio": "audio", "instruction": "string", "label": "string"},
    [
        {"file": f"dia{n}_utt1_{n:03}.wav", "audio": recording(n, f"{n}.wav"), "instruction": ASKED, "label": label}
        for n, label in enumerate(SPOKEN)
    ],
)
POLISH = ["anger", "fear", "happiness", "sadness", "surprised", "neutral"]
NEMO = repository(
    "amu-cai/nEMO",
    "train",
    {
        "file_id": "string",
        "audio": "audio",
        "emotion": "string",
        "raw_text": "string",
        "normalized_text": "string",
        "speaker_id": "string",
        "gender": "string",
        "age": "int32",
    },
    [
        {
            "file_id": f"SB0_{label}_{n}.wav",
            "audio": recording(10 + n, f"{n}.wav"),
            "emotion": label,
            "raw_text": "Chleb i mleko.",
            "normalized_text": "chleb i mleko",
            "speaker_id": f"SB{n % 2}",
            "gender": "female",
            "age": 21,
        }
        for n, label in enumerate(POLISH)
    ],
    ("140015d56f6adaad7e453dc471ba7c2856c02c8e",),
)
RUSSIAN = ["anger", "disgust", "enthusiasm", "fear", "happiness", "neutral", "sadness"]
RESD = repository(
    "Aniemore/resd",
    "test",
    {"name": "string", "path": "string", "emotion": "string", "speech": "audio"},
    [
        {"name": f"{n}_{label}", "path": f"{n}.wav", "emotion": label, "speech": recording(20 + n, f"{n}.wav")}
        for n, label in enumerate(RUSSIAN)
    ],
)


def test_every_task_of_the_hub_is_asked_and_true_answers_are_right(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tasks = {"dynamic_superb_meld": len(SPOKEN), "nemo": len(POLISH), "resd": len(RUSSIAN)}
    given = json.dumps([str(tmp_path / "walk"), str(tiny_qwen(tmp_path_factory)), tasks])
    with serve(DYNAMIC_SUPERB, NEMO, RESD) as hub:
        paths = ":".join(map(str, (Path(__file__).parent, Path(__file__).parent.parent)))
        environment = hub_environment(tmp_path / "home", hub.url, PYTHONPATH=paths)
        command = [sys.executable, "-c", WALK, given]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S, cwd=tmp_path
        )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    asked = [json.loads(line) for line in (tmp_path / "walk" / "questions" / "requests.jsonl").read_text().splitlines()]
    assert any(ASKED in json.dumps(question) for question in asked)
