"""The command on models behind servers that fail, are slow and are watched; and killed while many are under way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.chat_server import KEY, MODEL, ChatServer, Fault, running
from support.releases import write_text_release, write_text_task
from support.synthetic_release import CONFIG, write_synthetic_release
from support.waiting import PATIENCE_S, wait_until
from support.whole_runs import check_everything_was_answered, responses_of, results_of

ATTEMPTS = 8
FAULTS: tuple[Fault, ...] = ("429", "500", "cut", "truncated wav", "no json", "error in the body")
"""Those that come at once: how long an answer may take is another test's."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("release") / "synthetic")


@pytest.fixture(scope="module")
def text_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task of 240 questions without media."""
    folder = tmp_path_factory.mktemp("texts")
    return write_text_task(folder / "text.yaml", write_text_release(folder / "data", dialogues=80, turns=3))


def command(server: ChatServer, tasks: str, output: Path, *more: str, arguments: str = "") -> list[str]:
    given = f"base_url={server.url},model={MODEL},attempts={ATTEMPTS},timeout_s={PATIENCE_S}{arguments}"
    words = [sys.executable, "-m", "avemo_harness", "--model", "openai", "--model_args", given, "--tasks", tasks]
    return [*words, "--output_path", str(output), "--recognizer", "embedded", *more]


def run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command; pytest's own limit ends one that hangs, since the first makes the demo and trains its judge."""
    environment = {**os.environ, "OPENAI_API_KEY": KEY}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vllm", "vllm-omni", "hosted"])
def test_a_run_is_completed_though_every_fourth_attempt_fails(kind: str, release: Path, tmp_path: Path) -> None:
    stream = ",stream=true,speech_format=bare_wav" if kind == "hosted" else ""
    runs = {}
    for name, rate in (("whole", 0.0), ("faulty", 0.25)):
        with running(ChatServer(kind, fault_rate=rate, faults=FAULTS)) as server:  # type: ignore[arg-type]  # (a literal)
            more = ("--dataset", str(release), "--num_concurrent", "8")
            done = run(command(server, CONFIG, tmp_path / name, *more, arguments=f",speech=true{stream}"))
        assert done.returncode == 0, done.stderr
        check_everything_was_answered(tmp_path / name, CONFIG)
        assert max(server.asked.values()) <= ATTEMPTS
        assert set(server.answered.values()) == {1}
        runs[name] = {key: value for key, value in results_of(tmp_path / name).items() if key != "run"}
        failed = server.failed.total()
    assert failed > 5
    assert runs["faulty"]["tasks"] == runs["whole"]["tasks"]


@pytest.mark.slow
def test_a_deaf_server_is_refused_and_nothing_is_stored(release: Path, tmp_path: Path) -> None:
    with running(ChatServer(deaf=True)) as server:
        done = run(command(server, CONFIG, tmp_path / "run", "--dataset", str(release)))
    assert done.returncode == 2
    assert "the server drops the sound" in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_killed_at_random_moments_under_sixteen_requests_a_run_ends_as_if_nothing_had_happened(
    text_task: Path, tmp_path: Path
) -> None:
    moments, kills = random.Random(3), 0
    with running(ChatServer(fault_rate=0.1, faults=("429", "500", "cut", "no json"))) as server:
        argv = command(server, str(text_task), tmp_path / "killed", "--num_concurrent", "16")
        for _ in range(40):
            server.held_after = server.asked.total() + moments.randrange(20, 60)
            process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # A server that answers nothing more collects all requests that are let under way at once.
            busy = 9 if kills == 0 else 1
            wait_until(lambda p=process, n=busy: p.poll() is not None or _is_holding(server, n), "answers are held")
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        assert process.returncode == 0
        assert server.most_at_once > 8
    assert kills >= 3
    with running(ChatServer(port=server.port)) as server:
        done = run(command(server, str(text_task), tmp_path / "whole"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed" / "results.json").read_bytes() == (tmp_path / "whole" / "results.json").read_bytes()
    lines = [line for line in responses_of(tmp_path / "killed") if "error" not in line]
    assert Counter((line["task"], line["item"]) for line in lines).most_common(1)[0][1] == 1
    assert len(lines) == 240


def _is_holding(server: ChatServer, requests: int) -> bool:
    return server.asked.total() > server.held_after and server.busy >= requests


@pytest.mark.slow
def test_the_key_is_nowhere_but_in_requests(release: Path, tmp_path: Path) -> None:
    secret = KEY.encode()
    with running(ChatServer("hosted", fault_rate=0.3, faults=FAULTS)) as server:
        spoken = ",stream=true,speech=true,speech_format=bare_wav"
        argv = command(server, CONFIG, tmp_path / "run", "--dataset", str(release), arguments=spoken)
        done = run(argv)
        wrong = subprocess.run(
            command(server, CONFIG, tmp_path / "other", "--dataset", str(release), arguments=",stream=true"),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OPENAI_API_KEY": "sk-wrong-5678", "PYTHONFAULTHANDLER": "1"},
        )
    assert done.returncode == 0, done.stderr
    assert wrong.returncode == 2
    assert "Incorrect API key provided: ***" in wrong.stderr
    assert "sk-wrong-5678" not in wrong.stderr + wrong.stdout
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert all(secret not in path.read_bytes() for path in written)
    assert KEY not in done.stdout + done.stderr + json.dumps(argv)
