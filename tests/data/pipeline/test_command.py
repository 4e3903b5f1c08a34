"""Tools as processes: ended whole, never waited on for ever, and their last words told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support import pretend_tool
from support.processes import is_alive
from support.waiting import ASLEEP_S, PATIENCE_S, wait_until

from avemo_harness.data.pipeline import command
from avemo_harness.data.pipeline.command import no_tools, run_tool
from avemo_harness.data.pipeline.units import threads
from avemo_harness.errors import BuildError


def run(stock: Path, what: str, timeout_s: float = PATIENCE_S) -> None:
    (stock / "good").write_bytes(b"made")
    argv = [sys.executable, pretend_tool.__file__, what, str(stock / "made.mp4")]
    run_tool(argv, stock, {"STOCK": str(stock), "PATH": os.environ["PATH"]}, stock / "log", timeout_s)


def wait_for_end(pids: list[int]) -> None:
    wait_until(lambda: not any(map(is_alive, pids)), "the tool has ended with its children")


def pids_of(stock: Path) -> list[int]:
    return [int(pid) for pid in (stock / "pids").read_text().split()] if (stock / "pids").exists() else []


def test_what_a_tool_makes_is_there_when_it_ends(tmp_path: Path) -> None:
    run(tmp_path, "good")
    assert (tmp_path / "made.mp4").read_bytes() == b"made"


def test_a_tool_sees_only_the_environment_that_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "sk-123")
    run(tmp_path, "nothing")
    assert "sk-123" not in (tmp_path / "seen.json").read_text()


def test_a_tool_that_fails_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(
        BuildError, match=r"ended with status 3; it printed: .*done \| RuntimeError: CUDA out of memory"
    ):
        run(tmp_path, "fail")


def test_a_tool_that_crashes_is_an_error_with_the_signal(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"was ended by SIGABRT, and printed nothing$"):
        run(tmp_path, "die")


def test_a_tool_that_hangs_is_ended_with_its_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is over as soon as it has printed something, however long that takes."""
    log = tmp_path / "log"

    def clock() -> float:
        return 2.0 if log.exists() and b"step 1 of 2" in log.read_bytes() else 0.0

    monkeypatch.setattr(command, "monotonic", clock)
    with pytest.raises(BuildError, match=r"did not end within 2 s; it printed: step 1 of 2$"):
        run(tmp_path, "hang", timeout_s=2.0)
    wait_for_end(pids_of(tmp_path))


def test_children_that_a_tool_leaves_behind_are_ended_and_not_waited_for(tmp_path: Path) -> None:
    run(tmp_path, "leave children")
    wait_for_end(pids_of(tmp_path))


def test_a_child_with_a_session_of_its_own_holds_nobody_up(tmp_path: Path) -> None:
    run(tmp_path, "leave a daemon")
    (daemon,) = pids_of(tmp_path)
    assert is_alive(daemon)
    os.kill(daemon, signal.SIGKILL)


def test_a_tool_that_prints_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MAX_LOG_BYTES", 10_000)
    with pytest.raises(BuildError, match=r"printed more than 10000 bytes; it printed: .*again and again$"):
        run(tmp_path, "chatter")


def test_whoever_is_interrupted_can_end_the_tools_of_other_threads(tmp_path: Path) -> None:
    failed: list[str] = []

    def work() -> None:
        try:
            run(tmp_path, "hang")
        except BuildError as error:
            failed.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: len(pids_of(tmp_path)) == 2, "the tool hangs")
    with no_tools():
        thread.join(PATIENCE_S)
    assert "was ended by SIGKILL" in failed[0]
    wait_for_end(pids_of(tmp_path))


def test_while_tools_are_ended_none_begins(tmp_path: Path) -> None:
    with no_tools(), pytest.raises(BuildError, match="was not run, as the build is interrupted"):
        run(tmp_path, "good")
    assert not (tmp_path / "seen.json").exists()
    run(tmp_path, "good")
    assert (tmp_path / "made.mp4").exists()


def test_a_tool_that_began_in_the_last_moment_is_ended_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = ExitStack()

    class Starting(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            wait_until(lambda: len(pids_of(tmp_path)) == 2, "the tool hangs")
            stopping.enter_context(no_tools())

    monkeypatch.setattr(subprocess, "Popen", Starting)
    with stopping, pytest.raises(BuildError, match="was not run, as the build is interrupted"):
        run(tmp_path, "hang")
    wait_for_end(pids_of(tmp_path))


def test_an_interruption_ends_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> float:
        if len(pids_of(tmp_path)) == 2:
            raise KeyboardInterrupt
        return time.monotonic()

    monkeypatch.setattr(command, "monotonic", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "hang")
    wait_for_end(pids_of(tmp_path))


@pytest.mark.parametrize("program", ["/no/such/program", "/", "nul\0byte"])
def test_a_program_that_cannot_be_started_is_an_error(tmp_path: Path, program: str) -> None:
    with pytest.raises(BuildError, match="cannot be started"):
        run_tool([program], tmp_path, {}, tmp_path / "log", 1.0)


TOOL = f"import os, pathlib, time; pathlib.Path(str(os.getpid())).touch(); time.sleep({ASLEEP_S})"


def slow_tool(folder: Path, number: int) -> None:
    log = folder.with_name(f"log{number}")
    run_tool([sys.executable, "-c", TOOL], folder, {"PATH": os.environ["PATH"]}, log, timeout_s=ASLEEP_S)


def interrupt_tools(folder: Path, futures: list[Future[None]]) -> None:
    """Interrupt two tools that run while four wait for their turn."""
    with threads(2) as pool:
        assert pool is not None
        futures += [pool.submit(slow_tool, folder, number) for number in range(6)]
        wait_until(lambda: len(list(folder.iterdir())) == 2, "two tools run")
        raise KeyboardInterrupt


def test_after_an_interruption_no_tool_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill, folder = command._kill, tmp_path / "begun"
    folder.mkdir()

    def kill_slowly(process: object) -> None:
        kill(process)  # type: ignore[arg-type]  # (whatever it is called with)
        time.sleep(0.5)

    monkeypatch.setattr(command, "_kill", kill_slowly)
    futures: list[Future[None]] = []
    with pytest.raises(KeyboardInterrupt):
        interrupt_tools(folder, futures)
    assert len(list(folder.iterdir())) == 2
    ended = [future for future in futures if not future.cancelled()]
    assert len(ended) == 2
    assert all(isinstance(future.exception(), BuildError) for future in ended)
