"""Devices by rank, weights by content, and worker processes that end with their parent."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.processes import is_alive
from support.questions import ask, clip
from support.tiny_extractors import speech_encoder
from support.waiting import ASLEEP_S, wait_until
from threadpoolctl import ThreadpoolController

from avemo_harness.data.synthesis.demo import training_digest
from avemo_harness.errors import UsageError
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.baseline import Baseline
from avemo_harness.recognizers.checkpoint import load_trajectory_recognizer
from avemo_harness.recognizers.features import make_extractor, sound
from avemo_harness.recognizers.trained import FOLDER
from avemo_harness.torch_setup import (
    find_weights,
    import_transformers,
    load_model,
    one_blas_thread,
    one_thread,
    own_device,
    worker_pool,
)


def test_each_launched_process_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_device() == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert own_device() == "cuda:2"
    monkeypatch.setenv("LOCAL_RANK", "5")
    assert own_device() == "cuda:1"
    monkeypatch.delenv("LOCAL_RANK")
    assert own_device() == "cuda:0"


def identity(folder: Path) -> dict[str, str]:
    return dict(make_extractor(f"wavlm:pretrained={folder}").identity())


def test_the_identity_changes_with_the_weights_and_not_with_their_place(tmp_path: Path) -> None:
    first = speech_encoder(tmp_path / "first", "WavLM", seed=1)
    other = speech_encoder(tmp_path / "other", "WavLM", seed=2)
    copy = shutil.copytree(first, tmp_path / "copy")
    assert identity(first) == identity(copy)
    assert identity(first) != identity(other)


def test_the_identity_changes_with_the_settings(tmp_path: Path) -> None:
    folder = speech_encoder(tmp_path, "WavLM")
    specs = ("", ",layer=1", ",layer=mean", ",dtype=bfloat16")
    identities = [dict(make_extractor(f"wavlm:pretrained={folder}{spec}").identity()) for spec in specs]
    assert all(one != other for at, one in enumerate(identities) for other in identities[:at])


def test_weights_that_are_replaced_are_noticed(tmp_path: Path) -> None:
    folder = speech_encoder(tmp_path, "WavLM", seed=1)
    before = identity(folder)
    speech_encoder(tmp_path, "WavLM", seed=2)
    assert identity(folder) != before


def test_documentation_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = find_weights(str(tmp_path), None)
    (tmp_path / "README.md").write_text("what it is")
    assert find_weights(str(tmp_path), None) == before


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        find_weights(str(tmp_path / "nowhere"), None)


def test_a_folder_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no revision"):
        find_weights(str(tmp_path), "main")


def test_a_hub_id_that_cannot_be_reached_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match=r"download it first, or give a folder: pretrained=FOLDER"):
        find_weights("nobody/nothing", None)


def test_damaged_settings_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UsageError, match="damaged"):
        find_weights(str(tmp_path), None).settings("config.json")


def test_code_of_a_folder_is_neither_run_nor_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "with code"
    folder.mkdir()
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n", encoding="utf-8")
    questions: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question="": questions.append(question) or "y")
    weights = find_weights(str(folder), None)
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_model(import_transformers().AutoModel, weights, "float32", "cpu")
    assert questions == []
    assert not (tmp_path / "ran").exists()


PARENT = """
import os, time
from avemo_harness.torch_setup import worker_pool

if __name__ == "__main__":
    with worker_pool(2) as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(4)}, flush=True)
        pool.submit(time.sleep, ASLEEP_S).result()
"""


def test_workers_compute() -> None:
    with worker_pool(2) as pool:
        assert list(pool.map(abs, [-1, 2, -3])) == [1, 2, 3]


def test_workers_end_when_their_parent_is_killed_also_in_the_middle_of_something(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(PARENT.replace("ASLEEP_S", str(ASLEEP_S)))
    parent = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    workers = [int(number) for number in parent.stdout.readline().split()]
    assert workers
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not any(map(is_alive, workers)), "workers end with their parent")


@pytest.fixture
def two_threads() -> Iterator[ThreadpoolController]:
    """Two threads for every product, as on two processors, whatever this machine has."""
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    found = ThreadpoolController()
    with found.limit(limits=2):
        yield found
    torch.set_num_threads(usual)


def blas_threads(found: ThreadpoolController) -> set[int]:
    libraries = [library for library in found.info() if library["user_api"] == "blas"]
    return {library["num_threads"] for library in libraries if "numpy" in str(library["filepath"])}


def test_small_products_are_computed_in_one_thread_and_then_in_as_many_as_before(
    two_threads: ThreadpoolController,
) -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with one_blas_thread():
        assert blas_threads(two_threads) == {1}
    assert blas_threads(two_threads) == {2}


def test_threads_that_compute_side_by_side_leave_the_number_as_it_was(two_threads: ThreadpoolController) -> None:
    both_inside, first_left = threading.Barrier(2), threading.Event()

    def first() -> None:
        with one_thread():
            both_inside.wait()
        first_left.set()

    def second() -> int:
        with one_thread():
            both_inside.wait()
            assert first_left.wait(10)
            return torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        pool.submit(first)
        assert pool.submit(second).result() == 1
    assert torch.get_num_threads() == 2


def test_the_embedded_judge_takes_one_thread(two_threads: ThreadpoolController, tmp_path: Path) -> None:
    judge = load_trajectory_recognizer(FOLDER / "judge", tmp_path, "cpu")
    seen: list[int] = []
    judge._network.register_forward_pre_hook(lambda *given: seen.append(torch.get_num_threads()))
    judge.predict(np.zeros((3, judge.features.width), np.float32), "both")
    assert seen == [1]


def test_the_baseline_describes_clips_in_one_thread_each(
    two_threads: ThreadpoolController, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[int]] = []
    plain = sound.decibels

    def watched(power: Any) -> Any:
        seen.append(blas_threads(two_threads))
        return plain(power)

    monkeypatch.setattr(sound, "decibels", watched)
    model = Baseline(Baseline.Arguments(), ModelSetup(demo_digest=lambda which: training_digest()))
    model.generate([ask(clip(1.0, seed=91)), ask(clip(1.0, seed=92))])
    assert len(seen) >= 2
    assert all(threads == {1} for threads in seen)
