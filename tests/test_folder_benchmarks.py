"""Benchmarks that users have as folders, in the layouts that their authors document, asked of every kind of model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.benchmark_walk import Expected, tiny_qwen, walk
from support.emotion_benchmarks import BASIC, write_air_bench, write_emobench_m, write_emobox, write_mer_unibench
from support.emotion_wheels import RINGS, write_wheels

from avemo_harness.benchmark.planning import left_out_label
from avemo_harness.cli import main

pytestmark = pytest.mark.slow


def test_the_corpora_of_emobox_by_its_own_lists(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    counts = write_emobox(tmp_path / "EmoBox")
    tasks = {f"emobox_{corpus}": Expected(count) for corpus, count in counts.items()}
    walk(tmp_path, tasks, [f"emobox={tmp_path / 'EmoBox'}"], tiny_qwen(tmp_path_factory))


class LongestCommonWords:
    """The interface of `evaluate`'s rouge, whose module comes from the Hub: ROUGE-L of words as they are, unstemmed."""

    def compute(
        self, predictions: Sequence[str], references: Sequence[str], use_stemmer: bool = False
    ) -> dict[str, float]:
        assert use_stemmer  # a setting of the task
        said, true = predictions[0].lower().split(), references[0].lower().split()
        lengths = [[0] * (len(true) + 1) for _ in range(len(said) + 1)]
        for i, word in enumerate(said):
            for j, other in enumerate(true):
                longest = max(lengths[i][j + 1], lengths[i + 1][j])
                lengths[i + 1][j + 1] = lengths[i][j] + 1 if word == other else longest
        common = lengths[-1][-1]
        return {"rouge1": 0.0, "rougeL": 2 * common / (len(said) + len(true)) if common else 0.0}


def test_the_scenarios_of_emobench_m(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avemo_harness.torch_setup import repair_torchvision

    repair_torchvision()
    import evaluate

    monkeypatch.setattr(evaluate, "load", lambda name: {"rouge": LongestCommonWords()}[name])
    counts = write_emobench_m(tmp_path / "EmoBench-M")
    tasks = {f"emobench_m_{name}": Expected(count) for name, count in counts.items()}
    walk(tmp_path, tasks, [f"emobench_m={tmp_path / 'EmoBench-M'}"], tiny_qwen(tmp_path_factory))


def test_the_sets_of_mer_unibench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write_mer_unibench(tmp_path / "dataset")
    assert main(["data", "use", f"emotion_wheel={write_wheels(tmp_path / 'emotion_wheel', RINGS)}"]) == 0
    tasks = {f"mer_unibench_{name}": Expected(len(labels)) for name, labels in BASIC.items()}
    tasks["mer_unibench_ovmerdplus"] = Expected(4)
    for name in ("cmumosi", "cmumosei", "sims", "simsv2"):
        tasks[f"mer_unibench_{name}"] = Expected(3, {left_out_label("zero"): 1})
    walk(tmp_path, tasks, [f"mer_unibench={tmp_path / 'dataset'}"], tiny_qwen(tmp_path_factory))


def test_the_emotion_tasks_of_air_bench(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    write_air_bench(tmp_path / "AIR-Bench")
    tasks = {f"air_bench_emotion_{name}": Expected(3) for name in ("iemocap", "meld")}
    walk(tmp_path, tasks, [f"air_bench={tmp_path / 'AIR-Bench'}"], tiny_qwen(tmp_path_factory))
