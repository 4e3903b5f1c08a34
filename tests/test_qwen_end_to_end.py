"""The command on a tiny Qwen2.5-Omni: four conditions and spoken replies, alone and with several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ray_nodes import RayNodes
from support.real_release import write_real_release
from support.synthetic_release import CONFIG, write_synthetic_release
from support.waiting import PATIENCE_S, wait_until
from support.whole_runs import check_everything_was_answered, results_of

pytestmark = pytest.mark.slow

SMALL = "talker_max_new_tokens=100,min_pixels=3136,max_pixels=12544"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from support.tiny_qwen_omni import build

    from avemo_harness.torch_setup import repair_torchvision

    repair_torchvision()
    return build(tmp_path_factory.mktemp("checkpoint") / "qwen")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("release") / "synthetic")


def command(checkpoint: Path, release: Path, output: Path, tasks: str = CONFIG) -> list[str]:
    words = ["--model", "qwen2.5-omni", "--model_args", f"pretrained={checkpoint},{SMALL}", "--tasks", tasks]
    return [*words, "--dataset", str(release), "--output_path", str(output), "--recognizer", "embedded"]


@pytest.fixture(scope="module")
def alone(checkpoint: Path, release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by one process."""
    output = tmp_path_factory.mktemp("runs") / "alone"
    argv = [sys.executable, "-m", "avemo_harness", *command(checkpoint, release, output)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return output


def test_four_conditions_and_spoken_replies(alone: Path) -> None:
    check_everything_was_answered(alone, CONFIG)
    identity = results_of(alone)["identity"]
    assert identity["model"] == "qwen2.5-omni"
    assert identity["weights"].startswith("sha256:")


def test_batches_give_the_same_results(alone: Path, checkpoint: Path, release: Path, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "avemo_harness", *command(checkpoint, release, tmp_path / "run")]
    done = subprocess.run(
        [*argv, "--batch_size", "auto"], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "results.json").read_bytes() == (alone / "results.json").read_bytes()


def test_real_voices_and_faces(real_media: Path, checkpoint: Path, tmp_path: Path) -> None:
    release = write_real_release(tmp_path / "release", real_media)
    argv = command(checkpoint, release, tmp_path / "run", "multiturn_real")
    done = subprocess.run(
        [sys.executable, "-m", "avemo_harness", *argv, "--limit", "2", "--batch_size", "4"],
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    check_everything_was_answered(tmp_path / "run", "multiturn_real")


def launch(processes: int, checkpoint: Path, release: Path, output: Path) -> subprocess.Popen[str]:
    """The command in several processes by `accelerate launch`."""
    several = ["--multi_gpu", "--main_process_port", "0"] if processes > 1 else ["--cpu"]
    launcher = ["-m", "accelerate.commands.launch", *several, "--num_processes", str(processes)]
    words = [*launcher, "-m", "avemo_harness", *command(checkpoint, release, output)]
    return subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code of a process and what it said on standard error."""
    _, errors = process.communicate(timeout=2 * PATIENCE_S)
    return process.returncode, errors


@pytest.mark.parametrize("processes", [1, 3])
def test_several_processes_give_the_same_results(
    processes: int, alone: Path, checkpoint: Path, release: Path, tmp_path: Path
) -> None:
    code, errors = ended(launch(processes, checkpoint, release, tmp_path / "run"))
    assert code == 0, errors
    assert (tmp_path / "run" / "results.json").read_bytes() == (alone / "results.json").read_bytes()


def test_a_killed_process_costs_nothing_but_time(alone: Path, checkpoint: Path, release: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = launch(3, checkpoint, release, run)
    wait_until(lambda: any(path.stat().st_size for path in run.glob("responses/*.jsonl")), "an answer is stored")
    workers = subprocess.check_output(["pgrep", "-P", str(launcher.pid)], text=True).split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    assert ended(launcher)[0] != 0
    assert not (run / "results.json").exists()
    code, errors = ended(launch(2, checkpoint, release, run))
    assert code == 0, errors
    assert (run / "results.json").read_bytes() == (alone / "results.json").read_bytes()
    check_everything_was_answered(run, CONFIG)


@pytest.fixture
def nodes() -> Iterator[RayNodes]:
    cluster = RayNodes()
    yield cluster
    cluster.close()


def test_workers_of_a_cluster_that_come_and_are_killed_give_the_same_results(
    alone: Path, checkpoint: Path, release: Path, nodes: RayNodes, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    nodes.add(workers=2)
    argv = [sys.executable, "-m", "avemo_harness", *command(checkpoint, release, run)]
    argv += ["--executor", "ray", "--ray_address", nodes.address, "--workers", "3", "--batch_size", "2"]
    with subprocess.Popen(argv, env=nodes.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
        wait_until(lambda: len(nodes.workers()) == 2 and n_stored(run), "answers of two workers")
        first = nodes.workers()
        for worker in first:
            os.kill(worker, signal.SIGSTOP)
        nodes.add(workers=1)
        before = n_stored(run)
        wait_until(lambda: n_stored(run) > before + 2, "answers of a worker that has joined")
        assert len(nodes.workers()) == 3
        os.kill(first[0], signal.SIGKILL)
        os.kill(first[1], signal.SIGCONT)
        _, told = asking.communicate(timeout=PATIENCE_S)
    assert asking.returncode == 0, told
    assert "a worker of the cluster is lost; what it was asked is asked again" in told
    assert (run / "results.json").read_bytes() == (alone / "results.json").read_bytes()


def n_stored(run: Path) -> int:
    """The number of answers in a run directory."""
    return sum(segment.read_bytes().count(b"\n") for segment in run.glob("responses/*.jsonl"))
