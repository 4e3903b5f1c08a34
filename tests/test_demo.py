"""The main job: the embedded default on the built-in demo, through the command."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.answer_folders import copy_answers

from avemo_harness import evaluate, files
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.synthesis.affect import EMOTION_TARGETS, Affect, AffectPath, Floats
from avemo_harness.data.synthesis.demo import demo_release
from avemo_harness.metrics.bootstrap import ClusterBootstrap, Estimate
from avemo_harness.metrics.trivial_replies import shuffles
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.baseline import Baseline, Rule, ValenceArousal
from avemo_harness.report.results import score_run
from avemo_harness.run.json_files import checked_lines, parse_line

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


def test_answers_that_are_taken_elsewhere_and_brought_back_have_every_value_of_the_run(
    run: Path, results: dict[str, Any], tmp_path: Path
) -> None:
    answers, again = copy_answers(run, tmp_path / "answers"), tmp_path / "again"
    asked = ["--model", "replies", "--model_args", f"path={answers}", "--tasks", "demo", "--output_path", str(again)]
    done = subprocess.run([sys.executable, "-m", "avemo_harness", *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((again / "results.json").read_text())
    assert found["tasks"] == results["tasks"]
    assert found["judge"] == results["judge"]
    named = [{**one["groups"]["demo"], "row": ""} for one in (found, results)]
    assert named[0] == named[1]


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


SWING_S = 1.3
"""The judge describes up to 2 s of sound around each value, so faster swings are a blur to it."""


@dataclass(frozen=True)
class SwingingPath(AffectPath):
    """From sad to angry and back again."""

    def at(self, times_s: Floats, intensity: float = 1.0) -> Affect:
        angry = np.floor(times_s / SWING_S) % 2 == 1
        places = zip(EMOTION_TARGETS["sad"], EMOTION_TARGETS["angry"], strict=True)
        valence, arousal = (np.where(angry, one, other) for other, one in places)
        return Affect(valence, arousal)


class Jittery(Baseline):
    """Never the same for long, whatever it hears."""

    def _reply_path(self, heard: ValenceArousal) -> AffectPath:
        return SwingingPath(*heard, wander_hz=(0.0, 0.0), wander_phase=(0.0, 0.0))


@dataclass(frozen=True)
class Scored:
    """The values of each turn of a run by its item, and the dialogue it belongs to."""

    folder: Path
    values: dict[str, dict[str, float | None]]
    dialogues: dict[str, str]


@pytest.fixture(scope="module")
def setup() -> ModelSetup:
    training = load_release(str(demo_release(files.cache_dir(), print)), "demo", "train")
    return ModelSetup(training=lambda which: (training,))


def ask(model: Baseline, folder: Path) -> Scored:
    evaluate(model, ["demo_reply"], output_path=folder)
    lines = [json.loads(line) for line in (folder / "scores/demo_reply.jsonl").read_text().splitlines()]
    values = {line["item"]: line["values"] for line in lines}
    return Scored(folder, values, {line["item"]: line["cluster"] for line in lines})


@pytest.fixture(scope="module")
def scored(setup: ModelSetup, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scored]:
    folder = tmp_path_factory.mktemp("policies")
    rules: tuple[Rule, ...] = ("mirror", "balance", "neutral")
    runs = {rule: ask(Baseline(Baseline.Arguments(reply=rule), setup), folder / rule) for rule in rules}
    return {**runs, "jittery": ask(Jittery(Baseline.Arguments(), setup), folder / "jittery")}


def difference(better: Scored, worse: Scored, metric: str) -> Estimate:
    """Mean difference over the turns where both are defined, its interval over resampled dialogues."""
    by_dialogue: dict[str, list[float]] = defaultdict(list)
    for item, values in better.values.items():
        first, second = values[metric], worse.values[item][metric]
        if first is not None and second is not None:
            by_dialogue[better.dialogues[item]].append(first - second)
    sums = np.array([[sum(found), len(found)] for found in by_dialogue.values()], dtype=np.float64)
    return ClusterBootstrap(sums).estimate(lambda counts: counts[:, 0] / counts[:, 1], low=-1)


@pytest.mark.parametrize(
    ("better", "worse", "metric"),
    [
        ("mirror", "balance", "ecs"),
        ("mirror", "neutral", "ecs"),
        ("balance", "mirror", "ebs"),
        ("balance", "neutral", "ebs"),
        ("mirror", "jittery", "ess"),
        ("balance", "jittery", "ess"),
        ("neutral", "jittery", "ess"),
    ],
)
def test_the_judge_tells_the_rules_apart_on_the_same_turns(
    scored: dict[str, Scored], better: str, worse: str, metric: str
) -> None:
    found = difference(scored[better], scored[worse], metric)
    print(f"{better} - {worse}, {metric}: {found.value:+.3f} ({found.ci_low:+.3f} to {found.ci_high:+.3f})")
    assert found.ci_low is not None
    assert found.ci_low > 0


def test_replies_in_another_order_than_the_anchors_are_worth_nothing(scored: dict[str, Scored], tmp_path: Path) -> None:
    run = Path(shutil.copytree(scored["mirror"].folder, tmp_path / "shuffled"))
    (judgements,) = run.glob("judgements/*.jsonl")
    rows = [parse_line(line) for line in judgements.read_bytes().splitlines()]
    dialogues = [scored["mirror"].dialogues[row["item"]] for row in rows]
    order = next(iter(shuffles(dialogues, seed=7)))
    shuffled = [{**row, "reply": rows[index]["reply"]} for row, index in zip(rows, order, strict=True)]
    judgements.write_text(checked_lines(shuffled))
    metrics = score_run(run).tasks["demo_reply"].metrics
    for name in ("ecs_anchored", "ebs_anchored"):
        found = metrics[name]
        print(f"{name}: {found.value} ({found.ci_low} to {found.ci_high})")
        assert found.ci_low is not None
        assert found.ci_high is not None
        assert found.ci_low <= 0 <= found.ci_high


def test_many_of_the_turns_are_extreme(scored: dict[str, Scored]) -> None:
    assert sum(values["ebs"] is not None for values in scored["mirror"].values.values()) >= 60
