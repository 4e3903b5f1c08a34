"""Running a tool of the user's as a process of its own that leaves nothing behind: no child, no open pipe."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from time import monotonic

from avemo_harness.errors import BuildError

MOST_LOG_BYTES = 2**26
"""What a tool may print before it is ended."""
LAST_LINES = 4
LONGEST_TAIL = 600
"""Characters of the last lines that are told."""
_LOOK_S = 0.2

_running: set[subprocess.Popen[bytes]] = set()
_lock = Lock()
_stopping = Event()


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A command to be run.

    Args:
        argv: program and arguments; no shell ever sees them.
        cwd: None for where this process is.
        environment: all that the tool sees of it.
        log: file that takes what it prints.
    """

    argv: Sequence[str]
    cwd: Path | None
    environment: Mapping[str, str]
    log: Path
    timeout_s: float


def run_tool(run: ToolRun) -> None:
    """Run a tool to its end, and end whatever it leaves running.

    It has a session and a process group of its own, reads nothing, and prints into a file, so that a child that lives
    on holds nobody up. A child that begins a session of its own is out of reach.

    Raises:
        BuildError: without the unit's name, which the caller adds: it cannot be started, takes too long, prints too
            much, or fails; with the last lines that it printed. Or `no_tools` are wanted.
    """
    with open(run.log, "wb") as log, _started(run, log.fileno()) as process:
        end = monotonic() + run.timeout_s
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, min(_LOOK_S, end - monotonic())))
                break
            if monotonic() >= end:
                raise BuildError(f"{run.argv[0]} did not end within {run.timeout_s:g} s{_tail(run.log)}")
            if run.log.stat().st_size > MOST_LOG_BYTES:
                raise BuildError(f"{run.argv[0]} printed more than {MOST_LOG_BYTES} bytes{_tail(run.log)}")
    if process.returncode < 0:
        raise BuildError(f"{run.argv[0]} was ended by {_signal_name(-process.returncode)}{_tail(run.log)}")
    if process.returncode > 0:
        raise BuildError(f"{run.argv[0]} ended with status {process.returncode}{_tail(run.log)}")


@contextmanager
def no_tools() -> Iterator[None]:
    """End all tools that run, with their children, and let none begin in the block: for whoever is interrupted while
    other threads run tools. Those threads raise a BuildError.
    """
    _stopping.set()
    try:
        with _lock:
            running = list(_running)
        for process in running:
            _kill(process)
        yield
    finally:
        _stopping.clear()


@contextmanager
def _started(run: ToolRun, output: int) -> Iterator[subprocess.Popen[bytes]]:
    """A running process, which is dead with all of its session at the end of the block."""
    _go_on(run)
    try:
        process = subprocess.Popen(
            list(run.argv),
            cwd=run.cwd,
            env=dict(run.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise BuildError(f"{run.argv[0]} cannot be started ({error})") from error
    with _lock:
        _running.add(process)
    try:
        # Whoever stopped all tools in the meantime did not know of this one.
        _go_on(run)
        yield process
    finally:
        with _lock:
            _running.discard(process)
        _kill(process)
        process.wait()


def _go_on(run: ToolRun) -> None:
    if _stopping.is_set():
        raise BuildError(f"{run.argv[0]} was not run, as the build is interrupted")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process' group and, where the system lists processes, other groups of its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for member in _session_members(process.pid):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(member, signal.SIGKILL)


def _session_members(session: int) -> list[int]:
    """Living processes of a session, after Linux' ``/proc``; elsewhere none are found."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            # The name, in parentheses, may hold anything; state, parent, group and session follow it.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                members.append(int(stat.parent.name))
    return members


def _tail(log: Path) -> str:
    """The last lines that a tool printed, as a message ends with them; empty where it printed nothing."""
    with open(log, "rb") as handle:
        handle.seek(max(0, handle.seek(0, os.SEEK_END) - 8 * LONGEST_TAIL))
        text = handle.read().decode(errors="replace")
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    last = " | ".join(lines[-LAST_LINES:])[-LONGEST_TAIL:]
    shown = "".join(letter if letter.isprintable() else "?" for letter in last)
    return f"; it printed: {shown}" if shown else ", and printed nothing"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
