"""The main job: the embedded default on the built-in demo, through the command."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def command(run: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "avemo_harness",
        "--model",
        "baseline",
        "--tasks",
        "demo",
        "--output_path",
        str(run),
        *more,
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "run"
    done = subprocess.run(command(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return folder


@pytest.fixture(scope="module")
def results(run: Path) -> dict[str, Any]:
    return json.loads((run / "results.json").read_text())


@pytest.fixture(scope="module")
def row(results: dict[str, Any]) -> dict[str, Any]:
    return results["groups"]["demo"]["columns"]


def test_everything_is_answered(results: dict[str, Any]) -> None:
    assert not results["provisional"]
    assert results["tasks"]["demo_full_av"]["n_answered"] >= 160
    assert all(task["n_invalid"] == 0 for task in results["tasks"].values())


def test_neither_modality_is_trivial_and_together_they_are_as_good_as_the_better_one(row: dict[str, Any]) -> None:
    assert row["Acc_AV"]["ci_low"] >= 0.50
    assert 0.45 <= row["Acc_A"]["value"] <= 0.90
    assert 0.45 <= row["Acc_V"]["value"] <= 0.90
    assert row["Acc_AV"]["value"] >= max(row["Acc_A"]["value"], row["Acc_V"]["value"]) - 0.03


def test_the_three_preferences_sum_to_one(row: dict[str, Any]) -> None:
    assert sum(row[name]["value"] for name in ("AAR", "VAR", "OLR")) == pytest.approx(1.0)


def test_spoken_replies_are_scored_by_the_embedded_judge_beside_replies_that_take_no_understanding(
    results: dict[str, Any], row: dict[str, Any]
) -> None:
    task = results["tasks"]["demo_reply"]
    assert (task["n_items"], task["n_spoken"], task["n_unjudged"], task["comparable"]) == (160, 160, 0, True)
    assert results["judge"]["name"] == "embedded"
    assert any("CCC validation, sound alone" in line for line in results["judge"]["card"]["lines"])
    trivial = results["groups"]["demo"]["trivial"]
    assert row["ECS"]["ci_low"] > max(trivial[name]["ECS"]["value"] for name in ("constant", "shuffled"))
    assert trivial["copy"]["ECS"]["value"] == 1.0
    assert trivial["ideal balancer"]["EBS"]["value"] == 1.0
    assert trivial["constant"]["ESS"]["value"] == 1.0


def test_twenty_kills_and_then_two_processes_at_once_change_nothing(run: Path, tmp_path: Path) -> None:
    limited, shared = tmp_path / "limited", tmp_path / "shared"
    subprocess.run(command(limited, "--limit", "40"), check=True, capture_output=True)
    moments = random.Random(3)
    for _ in range(20):
        victim = subprocess.Popen(
            command(shared, "--limit", "40"), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(0.3, 2.5))
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    workers = [subprocess.Popen(command(shared, "--limit", "40"), stdout=subprocess.PIPE) for _ in range(2)]
    for worker in workers:
        worker.communicate(timeout=300)
        assert worker.returncode == 0
    stored = [
        (line["task"], line["item"])
        for segment in shared.glob("responses/*.jsonl")
        for line in map(json.loads, segment.read_text().splitlines())
    ]
    assert len(stored) == len(set(stored)) == sum(1 for path in shared.glob("items/*") for _ in path.open())
    assert (shared / "results.json").read_bytes() == (limited / "results.json").read_bytes()
