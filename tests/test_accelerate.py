"""`accelerate launch -m avemo_harness`: its processes share a run, and any of them may die or join late."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.byte_clips import write_lost_clips_task
from support.packages import write_package
from support.releases import write_text_release, write_text_task
from support.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.slow
DIALOGUES, TURNS = 40, 3

NOTING = '''
"""A model that answers by the request's seed, and notes in a file of its process what it is asked, a line a call.

From its second call on it answers when the gate, a file, is there.
"""
import os, time
from dataclasses import dataclass
from avemo_harness.benchmark.request import Response
from avemo_harness.models.base import Capabilities

class Noting:
    @dataclass(frozen=True)
    class Arguments:
        notes: str
        gate: str

    capabilities = Capabilities(outputs=frozenset({"label_text"}), largest_batch=4)

    def __init__(self, arguments, setup):
        self.notes, self.gate, self.calls = arguments.notes, arguments.gate, 0

    def identity(self):
        return {"model": "noting"}

    def generate(self, requests):
        with open(f"{self.notes}/{os.getpid()}", "a") as file:
            file.write(" ".join(request.key for request in requests) + "\\n")
        self.calls += 1
        while self.calls > 1 and not os.path.exists(self.gate):
            time.sleep(0.01)
        return [Response(text=request.output.labels[request.seed % 4]) for request in requests]
'''


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of the commands: the model `noting` is installed, and nothing of this test's own launcher is told them."""
    site = tmp_path_factory.mktemp("site")
    write_package(
        site, "noting", {"avemo_harness.models": {"noting": "noting_model:Noting"}}, {"noting_model.py": NOTING}
    )
    searched = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(searched)}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    return write_text_task(folder / "text.yaml", write_text_release(folder / "data", DIALOGUES, TURNS))


class Workplace:
    """One run with the commands that work on it; their models wait in their second batch until `let_go`."""

    def __init__(self, folder: Path, task: Path, environment: dict[str, str]) -> None:
        self.run, self.notes, self._gate = folder / "run", folder / "notes", folder / "gate"
        self.notes.mkdir()
        self._environment = environment
        arguments = f"notes={self.notes},gate={self._gate}"
        asked = ["--model", "noting", "--model_args", arguments, "--tasks", str(task), "--output_path", str(self.run)]
        self._alone = ["-m", "avemo_harness", *asked]

    def start(self) -> subprocess.Popen[str]:
        """A process started by hand."""
        return self._started(self._alone)

    def launch(self, processes: int, *options: str) -> subprocess.Popen[str]:
        """Several processes by `accelerate launch`; it needs no accelerator for ``--multi_gpu``."""
        several = ["--multi_gpu", "--main_process_port", "0"] if processes > 1 else ["--cpu"]
        launcher = ["-m", "accelerate.commands.launch", *several, "--num_processes", str(processes), *options]
        return self._started([*launcher, *self._alone])

    def _started(self, arguments: list[str]) -> subprocess.Popen[str]:
        command = [sys.executable, *arguments]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self._environment
        )

    def stored(self) -> list[dict[str, str]]:
        """The complete lines of every segment."""
        segments = self.run.glob("responses/*.jsonl")
        return [json.loads(line) for segment in segments for line in segment.read_bytes().split(b"\n")[:-1]]

    def workers(self) -> dict[int, int]:
        """By process, of how many items it was asked."""
        return {int(file.name): len(file.read_text().split()) for file in self.notes.iterdir()}

    def wait_until_busy(self, workers: int) -> None:
        """Wait until that many processes are in the middle of their work: each has been asked a second time."""
        wait_until(lambda: self._busy() == workers, f"{workers} processes are in their second batch")
        assert len(self.workers()) == workers
        assert 0 < len(self.stored()) < DIALOGUES * TURNS

    def _busy(self) -> int:
        return sum(file.read_text().count("\n") == 2 for file in self.notes.iterdir())

    def let_go(self) -> None:
        """Let the models answer."""
        self._gate.touch()

    def check_finished(self, expected: bytes) -> None:
        """Every item is stored once, and the results are those of an uninterrupted process."""
        stored = Counter((line["task"], line["item"]) for line in self.stored())
        assert len(stored) == DIALOGUES * TURNS
        assert set(stored.values()) == {1}
        assert (self.run / "results.json").read_bytes() == expected


def finished(process: subprocess.Popen[str]) -> str:
    """Output of a process, once it has ended well."""
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    return output


@pytest.fixture(scope="module")
def alone(task: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The results of one process."""
    workplace = Workplace(tmp_path_factory.mktemp("alone"), task, environment)
    workplace.let_go()
    finished(workplace.start())
    return (workplace.run / "results.json").read_bytes()


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_any_number_of_processes_gives_the_results_of_one_and_prints_one_table(
    processes: int, task: Path, environment: dict[str, str], tmp_path: Path, alone: bytes
) -> None:
    workplace = Workplace(tmp_path, task, environment)
    launcher = workplace.launch(processes)
    workplace.wait_until_busy(processes)
    workplace.let_go()
    output = finished(launcher)
    workplace.check_finished(alone)
    assert len(workplace.workers()) == processes
    assert sum(workplace.workers().values()) == DIALOGUES * TURNS
    assert output.count("run directory: ") == 1


def test_after_one_of_three_was_killed_the_same_command_ends_as_if_nothing_had_happened(
    task: Path, environment: dict[str, str], tmp_path: Path, alone: bytes
) -> None:
    workplace = Workplace(tmp_path, task, environment)
    launcher = workplace.launch(3)
    workplace.wait_until_busy(3)
    os.kill(next(iter(workplace.workers())), signal.SIGKILL)
    launcher.communicate(timeout=PATIENCE_S)
    assert launcher.returncode == 1
    assert 0 < len(workplace.stored()) < DIALOGUES * TURNS
    workplace.let_go()
    finished(workplace.launch(3))
    workplace.check_finished(alone)


def test_with_restarts_allowed_a_killed_process_is_made_good_by_the_launcher(
    task: Path, environment: dict[str, str], tmp_path: Path, alone: bytes
) -> None:
    workplace = Workplace(tmp_path, task, environment)
    launcher = workplace.launch(2, "--max_restarts", "1")
    workplace.wait_until_busy(2)
    os.kill(next(iter(workplace.workers())), signal.SIGKILL)
    workplace.let_go()
    finished(launcher)
    workplace.check_finished(alone)


def test_a_process_that_is_started_by_hand_joins_in(
    task: Path, environment: dict[str, str], tmp_path: Path, alone: bytes
) -> None:
    workplace = Workplace(tmp_path, task, environment)
    launcher = workplace.launch(2)
    workplace.wait_until_busy(2)
    joined = workplace.start()
    wait_until(lambda: joined.pid in workplace.workers(), "the third process is asked something")
    workplace.let_go()
    finished(joined)
    finished(launcher)
    workplace.check_finished(alone)
    assert workplace.workers()[joined.pid] > 0
    assert sum(workplace.workers().values()) == DIALOGUES * TURNS


def test_a_wrong_command_is_told_by_each_process_with_its_rank(
    task: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    for rank, said in (("0", "avemo-eval: "), ("2", "avemo-eval (rank 2): ")):
        command = [sys.executable, "-m", "avemo_harness", "--model", "nosuch", "--tasks", str(task)]
        started = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**environment, "RANK": rank}, cwd=tmp_path
        )
        assert (started.returncode, started.stdout) == (2, "")
        assert started.stderr.startswith(f"{said}unknown model 'nosuch'")


def test_only_the_main_process_of_a_launch_tells_of_failed_items_in_its_exit_code(
    environment: dict[str, str], tmp_path: Path
) -> None:
    lost = write_lost_clips_task(tmp_path, dialogues=2)
    command = [sys.executable, "-m", "avemo_harness", "--model", "random", "--tasks", str(lost)]
    for rank, code in (("1", 0), ("0", 1)):
        started = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**environment, "RANK": rank}, cwd=tmp_path
        )
        assert started.returncode == code, started.stderr
        assert ("items failed" in started.stdout) == (rank == "0")
        assert started.stderr == "" or rank == "0"
