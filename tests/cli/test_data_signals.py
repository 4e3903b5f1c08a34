"""A command about data that is told to end, by whatever signal, leaves no tool running and no temporary folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes import is_alive
from support.waiting import PATIENCE_S, wait_until

from avemo_harness.cli import main
from avemo_harness.cli.output import end_on_signals

TOOL = """
import os, pathlib, time
pathlib.Path(os.environ["STOCK"], str(os.getpid())).touch()
time.sleep(900)
"""
ARGV = [sys.executable, "-c", TOOL, "{in.wav}", "{emotion}", "{out.mp4}"]
YAML = f"""licence: CC0-1.0
speakers: 2
workers: 2
splits:
  singleturn_synthetic: {{dialogues: 8, conflict_pairs: 2}}
  multiturn_synthetic: {{dialogues: 0, conflict_pairs: 0}}
face: {{backend: command, tool: Slow, version: "1", argv: {json.dumps(ARGV)}, env: [STOCK], emotion_input: label}}
"""
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def take_signals() -> None:
    """What started the tests may ignore some, as programs in the background do."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_DFL)


def begun(stock: Path) -> list[int]:
    """Tools that began so far, by the files that they made."""
    return [int(path.name) for path in stock.iterdir()]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_a_build_that_is_told_to_end_takes_its_tools_with_it(tmp_path: Path, number: signal.Signals) -> None:
    stock, temporary = tmp_path / "stock", tmp_path / "temporary"
    stock.mkdir()
    temporary.mkdir()
    (tmp_path / "slow.yaml").write_text(YAML)
    out = tmp_path / "out" / "release"
    command = [sys.executable, "-m", "avemo_harness", "data", "build", str(tmp_path / "slow.yaml"), "--out", str(out)]
    environment = {**os.environ, "STOCK": str(stock), "TMPDIR": str(temporary)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stderr=pipe, text=True, preexec_fn=take_signals) as build:
        wait_until(lambda: len(begun(stock)) == 2, "two tools run")
        build.send_signal(number)
        _, told = build.communicate(timeout=PATIENCE_S)
    assert build.returncode == 130
    assert told.endswith("interrupted; the same command continues\n")
    assert len(begun(stock)) == 2, "none of the six that waited began"
    assert not any(map(is_alive, begun(stock)))
    assert list(temporary.iterdir()) == []
    assert [path.name for path in out.parent.iterdir()] == ["release.work"]
    assert not list((out.parent / "release.work").rglob("failed/*")), "an interruption is no failure"


@pytest.fixture
def _handlers() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
def test_every_action_can_be_told_to_end() -> None:
    assert main(["data", "use"]) == 0
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("_handlers")
def test_a_terminal_that_closes_ends_nothing_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    end_on_signals()
    signal.raise_signal(signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
