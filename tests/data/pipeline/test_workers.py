"""Whoever is interrupted while tools run begins no other one, and waits for none."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
from support.waiting import ASLEEP_S, wait_until

from avemo_harness.data.pipeline import command
from avemo_harness.data.pipeline.command import run_tool
from avemo_harness.data.pipeline.units import threads
from avemo_harness.errors import BuildError

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
