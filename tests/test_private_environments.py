"""The command on models whose code runs in an environment of its own, made from scratch: transformers 4.45.0."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.legacy import run_there
from support.synthetic_release import CONFIG, write_synthetic_release
from support.waiting import PATIENCE_S, wait_until
from support.whole_runs import check_everything_was_answered, responses_of, results_of

from avemo_harness.models.environments.recipes import Environment, find_recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("release") / "synthetic")


@pytest.fixture(scope="module")
def minicpm(legacy_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint with code of its own."""
    scratch = tmp_path_factory.mktemp("minicpm")
    return Path(run_there(legacy_python, "support.tiny_minicpm:build_in", scratch, str(scratch)))


@pytest.fixture(scope="module")
def baichuan(legacy_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint with code that needs packages which only machines with CUDA tools can install."""
    scratch = tmp_path_factory.mktemp("baichuan")
    return Path(run_there(legacy_python, "support.tiny_baichuan:build_in", scratch, str(scratch)))


@pytest.fixture(scope="module")
def baichuan_environment(legacy_python: Path) -> Environment:
    """MiniCPM-o's environment has all that this checkpoint's code imports, so it serves for both."""
    environment = Environment(find_recipe("baichuan-omni"))
    environment.folder.mkdir(parents=True, exist_ok=True)
    venv = environment.folder / "venv"
    if not venv.exists():
        venv.symlink_to(legacy_python.parents[1])
    environment.finish({"transformers": "4.45.0"}, "as MiniCPM-o's")
    return environment


def command(model: str, arguments: str, release: Path, output: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "avemo_harness", "--model", model, "--model_args", arguments, "--tasks", CONFIG]
    words += ["--dataset", str(release), "--output_path", str(output), "--device", "cpu", "--recognizer", "embedded"]
    return [*words, *more]


def run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_S)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def alone(minicpm: Path, release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose requests were asked one by one."""
    output = tmp_path_factory.mktemp("runs") / "alone"
    run(command("minicpm-o", f"pretrained={minicpm},trust_code=true", release, output))
    return output


def test_four_conditions_and_spoken_replies(alone: Path) -> None:
    check_everything_was_answered(alone, CONFIG)


def test_the_identity_names_the_environment_and_the_code(alone: Path) -> None:
    identity = results_of(alone)["identity"]
    assert identity["environment"] == find_recipe("minicpm-o").digest
    assert "transformers==4.45.0" in identity["packages"].split()
    assert identity["remote_code"].startswith("sha256:")
    assert identity["stand_ins"] == "none"


def test_what_the_worker_wrote_is_kept_with_the_run(alone: Path) -> None:
    (log,) = (alone / "logs").iterdir()
    assert log.suffix == ".log"


def test_batches_give_the_same_results(alone: Path, minicpm: Path, release: Path, tmp_path: Path) -> None:
    run(command("minicpm-o", f"pretrained={minicpm},trust_code=true", release, tmp_path / "run", "--batch_size", "5"))
    assert (tmp_path / "run" / "results.json").read_bytes() == (alone / "results.json").read_bytes()


def workers_of(process: int) -> list[int]:
    """Children of a process that host a model."""
    listed = subprocess.run(["pgrep", "-P", str(process), "-f", "worker/start.py"], stdout=subprocess.PIPE, check=False)
    return [int(one) for one in listed.stdout.split()]


def test_a_worker_killed_in_the_middle_of_a_batch_loses_nothing(
    alone: Path, minicpm: Path, release: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    argv = command("minicpm-o", f"pretrained={minicpm},trust_code=true", release, output, "--batch_size", "4")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: any(path.stat().st_size for path in output.glob("responses/*.jsonl")), "an answer is stored")
        (worker,) = workers_of(process.pid)
        os.kill(worker, signal.SIGKILL)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert errors.count("starting minicpm-o in its environment") == 2
    assert (output / "results.json").read_bytes() == (alone / "results.json").read_bytes()


def test_a_model_that_needs_stand_ins_names_them(
    baichuan: Path, baichuan_environment: Environment, release: Path, tmp_path: Path
) -> None:
    small = f"pretrained={baichuan},vocoder={baichuan.parent / 'vocoder'},max_pixels=12544,trust_code=true"
    run(command("baichuan-omni", small, release, tmp_path / "run", "--batch_size", "3"))
    check_everything_was_answered(tmp_path / "run", CONFIG)
    assert results_of(tmp_path / "run")["identity"]["stand_ins"] == "flash_attn deepspeed"


def test_code_of_a_folder_that_is_not_trusted_is_not_run(minicpm: Path, release: Path, tmp_path: Path) -> None:
    checkpoint = shutil.copytree(minicpm, tmp_path / "checkpoint")
    for code in checkpoint.glob("*.py"):
        code.write_text(
            f"open({str(tmp_path / 'ran')!r}, 'w').close()\n" + code.read_text(encoding="utf-8"), encoding="utf-8"
        )
    argv = command("minicpm-o", f"pretrained={checkpoint}", release, tmp_path / "run")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_S)
    assert done.returncode == 2
    said = f"minicpm-o runs code from the folder {checkpoint}; if you trust it, say so: trust_code=true"
    assert said in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "run").exists()


def test_a_hub_that_is_not_reached_is_one_sentence(legacy_python: Path, release: Path, tmp_path: Path) -> None:
    argv = command("minicpm-o", f"pretrained=nobody/nothing,revision={'0' * 40}", release, tmp_path / "run")
    settings = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_S, env=settings)
    assert done.returncode == 2
    assert "the Hub cannot be reached and config.json is not in the cache" in done.stderr.strip().splitlines()[-1]


def test_a_package_that_is_missing_is_one_sentence_and_nothing_is_stored(
    baichuan: Path, baichuan_environment: Environment, release: Path, tmp_path: Path
) -> None:
    checkpoint = shutil.copytree(baichuan, tmp_path / "checkpoint")
    code = checkpoint / "modeling_omni.py"
    code.write_text("import no_such_package\n" + code.read_text(encoding="utf-8"), encoding="utf-8")
    argv = command(
        "baichuan-omni", f"pretrained={checkpoint},trust_code=true", release, tmp_path / "run", "--skip_speech"
    )
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_S)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "no_such_package" in last
    assert responses_of(tmp_path / "run") == []
