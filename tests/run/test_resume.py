"""A killed run loses the batch in flight and nothing else; workers share a run; results do not tell who did what."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from support.releases import write_text_release, write_text_task
from support.waiting import PATIENCE_S, wait_until

SCRIPT = Path(__file__).parents[1] / "support" / "counting_run.py"
DIALOGUES, TURNS, BATCH = 60, 3, 8


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    return write_text_task(folder / "text.yaml", write_text_release(folder / "data", DIALOGUES, TURNS))


def start(run: Path, task: Path, log: Path, seconds: float = 0.0, gate: Path = SCRIPT) -> subprocess.Popen[bytes]:
    """A process that notes in `log` what it is asked, and answers when there is a file `gate`."""
    command = [sys.executable, str(SCRIPT), str(run), str(task), str(log), str(BATCH), str(seconds), str(gate)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors.decode()


def stored_lines(run: Path) -> list[dict[str, str]]:
    return [
        json.loads(line) for segment in run.glob("responses/*.jsonl") for line in segment.read_bytes().split(b"\n")[:-1]
    ]


def keys(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


@pytest.fixture(scope="module")
def uninterrupted(task: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("uninterrupted")
    finish(start(folder / "run", task, folder / "log"))
    assert len(stored_lines(folder / "run")) == DIALOGUES * TURNS
    return (folder / "run" / "results.json").read_bytes()


@pytest.mark.slow
def test_killed_at_twenty_random_moments_a_run_ends_as_if_nothing_had_happened(
    task: Path, tmp_path: Path, uninterrupted: bytes
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    moments = random.Random(7)
    answered_again, kills = 0, 0
    while kills < 20:
        process = start(run, task, log, seconds=0.02)
        asked_before = len(keys(log))
        answered_before = {line["key"] for line in stored_lines(run)}
        # Half of the kills fall into start-up and planning, half into the asking.
        waited_for = asked_before + 1 if kills % 2 else 0
        while len(keys(log)) < waited_for and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, 0.15 if kills % 2 else 1.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        answered_again += len(answered_before & set(keys(log)[asked_before:]))
    answered_before = {line["key"] for line in stored_lines(run)}
    asked_before = len(keys(log))
    finish(start(run, task, log))

    answered_again += len(answered_before & set(keys(log)[asked_before:]))
    assert answered_again == 0
    times_asked = Counter(keys(log))
    assert len(times_asked) == DIALOGUES * TURNS
    assert sum(times_asked.values()) <= DIALOGUES * TURNS + kills * BATCH
    stored = Counter((line["task"], line["item"]) for line in stored_lines(run))
    assert set(stored.values()) == {1}
    assert (run / "results.json").read_bytes() == uninterrupted


@pytest.mark.slow
def test_two_processes_share_a_run_and_give_the_results_of_one(
    task: Path, tmp_path: Path, uninterrupted: bytes
) -> None:
    run, logs, gate = tmp_path / "run", [tmp_path / "log0", tmp_path / "log1"], tmp_path / "gate"
    workers = [start(run, task, log, gate=gate) for log in logs]
    wait_until(lambda: all(map(keys, logs)), "both processes are asked something")
    gate.touch()
    for worker in workers:
        finish(worker)
    shares = [len(keys(log)) for log in logs]
    assert sum(shares) == DIALOGUES * TURNS
    assert min(shares) > 0
    assert (run / "results.json").read_bytes() == uninterrupted
    assert not list((run / "claims").glob("worker-*"))


@pytest.mark.slow
def test_what_a_killed_process_had_claimed_is_taken_over_by_one_that_runs(
    task: Path, tmp_path: Path, uninterrupted: bytes
) -> None:
    run, logs, gate = tmp_path / "run", [tmp_path / "log0", tmp_path / "log1"], tmp_path / "gate"
    first, second = (start(run, task, log, gate=gate) for log in logs)
    wait_until(lambda: all(map(keys, logs)), "both processes are asked something")
    first.kill()
    first.wait()
    gate.touch()
    finish(second)
    assert (run / "results.json").read_bytes() == uninterrupted


@pytest.mark.slow
def test_a_finished_run_asked_again_asks_nothing(task: Path, tmp_path: Path, uninterrupted: bytes) -> None:
    run = tmp_path / "run"
    finish(start(run, task, tmp_path / "log"))
    finish(start(run, task, tmp_path / "again"))
    assert keys(tmp_path / "again") == []
    assert (run / "results.json").read_bytes() == uninterrupted


@pytest.mark.slow
def test_a_torn_last_line_is_cut_off_said_and_asked_again(task: Path, tmp_path: Path, uninterrupted: bytes) -> None:
    run = tmp_path / "run"
    finish(start(run, task, tmp_path / "log"))
    segment = next(run.glob("responses/*.jsonl"))
    segment.write_bytes(segment.read_bytes()[:-20])
    command = [sys.executable, "-m", "avemo_harness", "score", str(run)]
    scored = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "1 items are not answered yet" in scored.stdout
    finish(start(run, task, tmp_path / "again"))
    assert len(keys(tmp_path / "again")) == 1
    assert segment.read_bytes().endswith(b"}\n")
    assert (run / "results.json").read_bytes() == uninterrupted
