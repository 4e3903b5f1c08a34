"""Command-line tools: an argument list with placeholders, a process group that leaves nothing behind."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock
from time import monotonic
from typing import TypeVar

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.pipeline.backends import Template
from avemo_harness.data.pipeline.config import hide_variables
from avemo_harness.errors import BuildError, MediaError, UsageError
from avemo_harness.media import DEFAULT_LIMITS
from avemo_harness.registry import hint

MAX_LOG_BYTES = 2**26
"""Output after which a tool is ended."""
LAST_LINES, LONGEST_TAIL = 4, 600
"""Lines, and their characters, of a tool's output that an error quotes."""
_POLL_S = 0.2

_running: set[subprocess.Popen[bytes]] = set()
_lock = Lock()
_stopping = Event()


def run_tool(
    argv: Sequence[str], cwd: Path | None, environment: Mapping[str, str], log: Path, timeout_s: float
) -> None:
    """Run a tool to its end, and end whatever it leaves running.

    It has a session and a process group of its own, reads nothing, and prints into a file, so that a child that lives
    on holds nobody up. A child that begins a session of its own is out of reach.

    Args:
        argv: program and arguments; no shell ever sees them.
        cwd: None for the folder of this process.
        environment: all that the tool sees of it.
        log: file that takes its output.

    Raises:
        BuildError: without the unit's name, which the caller adds: it cannot be started, takes too long, prints too
            much, or fails; with the last lines that it printed. Or `no_tools` are wanted.
    """
    program = argv[0]
    with open(log, "wb") as output, _started(argv, cwd, environment, output.fileno()) as process:
        end = monotonic() + timeout_s
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, min(_POLL_S, end - monotonic())))
                break
            if monotonic() >= end:
                raise BuildError(f"{program} did not end within {timeout_s:g} s{_tail(log)}")
            if log.stat().st_size > MAX_LOG_BYTES:
                raise BuildError(f"{program} printed more than {MAX_LOG_BYTES} bytes{_tail(log)}")
    if process.returncode < 0:
        raise BuildError(f"{program} was ended by {_signal_name(-process.returncode)}{_tail(log)}")
    if process.returncode > 0:
        raise BuildError(f"{program} ended with status {process.returncode}{_tail(log)}")


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
def _started(
    argv: Sequence[str], cwd: Path | None, environment: Mapping[str, str], output: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A running process, which is dead with all of its session at the end of the block."""
    _refuse_if_stopping(argv[0])
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise BuildError(f"{argv[0]} cannot be started ({error})") from error
    with _lock:
        _running.add(process)
    try:
        # Whoever stopped all tools in the meantime did not know of this one.
        _refuse_if_stopping(argv[0])
        yield process
    finally:
        with _lock:
            _running.discard(process)
        _kill(process)
        process.wait()


def _refuse_if_stopping(program: str) -> None:
    if _stopping.is_set():
        raise BuildError(f"{program} was not run, as the build is interrupted")


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
    """The end of an error message, with the last lines that a tool printed."""
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


BASE_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
"""Variables that every tool sees where they are set."""
OUT_DIR, OUT_NAME = "out.dir", "out.name"
"""The folder that a unit's output goes into, and a name of the unit's own for tools that choose the folder."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class CommandArguments:
    """Arguments of every tool that is a command.

    Args:
        tool, version: such as ``SadTalker`` and the commit of its checkout; recorded with every unit.
        argv: program and arguments, with placeholders.
        cwd: folder it runs in; empty for the one of this process.
        env: names of further variables of the environment that it sees (`BASE_ENVIRONMENT`).
        collect: path of its output, for tools that name it themselves: a pattern with ``*``, absolute or below `cwd`,
            that begins with {out.dir} or holds {out.name}. Files outside {out.dir} are deleted once read.
        emotions: the tool's name of each of the release's emotions; empty where it is the same.
    """

    tool: str
    version: str
    argv: tuple[str, ...]
    cwd: str = ""
    env: tuple[str, ...] = ()
    timeout_s: float = 600.0
    collect: str = ""
    emotions: Mapping[str, str] = field(default_factory=dict)


class Command:
    """A tool that makes one file of a unit.

    Args:
        placeholders: that its arguments may hold, beside those of the output.
        output: the file it makes, ``out.mp4`` or ``out.wav``; also the placeholder of its path.

    Raises:
        UsageError: an argument is wrong, so that no unit could be made.
    """

    def __init__(self, arguments: CommandArguments, placeholders: Iterable[str], output: str) -> None:
        self._arguments, self._output = arguments, output
        known = (*placeholders, output, OUT_DIR, OUT_NAME)
        self._argv = tuple(Template.parse("argv", argument, known) for argument in arguments.argv)
        self._collect = Template.parse("collect", arguments.collect, (OUT_DIR, OUT_NAME)) if arguments.collect else None
        self.placeholders = frozenset(name for template in self._argv for name in template.names)
        self._check()

    def identity(self) -> Mapping[str, str]:
        """The tool and how it is called; of its arguments, which may hold keys, the digest alone."""
        arguments = self._arguments
        return {
            "tool": arguments.tool,
            "version": arguments.version,
            "argv_sha256": hashlib.sha256(json.dumps(arguments.argv).encode()).hexdigest(),
            "collect": arguments.collect,
            "env": json.dumps(arguments.env),
            "emotions": json.dumps(arguments.emotions, sort_keys=True),
        }

    def require(self, name: str, why: str) -> None:
        """Refuse arguments that do not hold a placeholder (UsageError)."""
        if name not in self.placeholders:
            raise UsageError(f"argv: nothing takes {{{name}}}, {why}")

    def emotion(self, emotion: str) -> str:
        """The tool's name of an emotion."""
        return self._arguments.emotions.get(emotion, emotion)

    def make(
        self, unit: str, files: Mapping[str, bytes], values: Mapping[str, str], read: Callable[[Path], Result]
    ) -> Result:
        """Run the tool in a folder of the unit's own, which is deleted afterwards.

        Args:
            unit: for messages.
            files: its input: content by placeholder, which is also the file's name.
            values: of other placeholders.
            read: makes something of the output; raises a MediaError where it cannot be used.

        Raises:
            BuildError: the tool fails, makes no file, several, or one that cannot be used.
        """
        tool = self._arguments.tool
        try:
            with TemporaryDirectory(prefix="avemo-unit-", ignore_cleanup_errors=True) as name:
                return self._made(Path(name).resolve(), files, values, read)
        except MediaError as error:
            raise BuildError(f"{unit}: what {tool} made cannot be used: {error}") from error
        except (BuildError, OSError) as error:
            raise BuildError(f"{unit}: {tool}: {hide_variables(str(error), self._arguments.env)}") from error

    def _made(
        self, folder: Path, files: Mapping[str, bytes], values: Mapping[str, str], read: Callable[[Path], Result]
    ) -> Result:
        outputs, temporary = folder / "out", folder / "tmp"
        outputs.mkdir()
        temporary.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        paths = {name: str(folder / name) for name in files}
        own = {self._output: str(outputs / self._output), OUT_DIR: str(outputs), OUT_NAME: folder.name}
        argv = [_argument(template, {**values, **paths, **own}) for template in self._argv]
        cwd = Path(self._arguments.cwd) if self._arguments.cwd else None
        try:
            run_tool(argv, cwd, self._environment(temporary), folder / "log.txt", self._arguments.timeout_s)
            return read(self._found(own))
        finally:
            for path in self._collected(own):
                if not path.is_relative_to(folder):
                    path.unlink(missing_ok=True)

    def _found(self, own: Mapping[str, str]) -> Path:
        """The one file that the tool made."""
        found = self._collected(own) if self._collect else [Path(own[self._output])]
        found = [path for path in found if path.is_file()]
        if len(found) != 1:
            there = sorted(path.name for path in Path(own[OUT_DIR]).iterdir())
            raise BuildError(
                f"it made {len(found) or 'no'} files where one was expected "
                f"({self._arguments.collect or self._output}); its folder holds: {', '.join(there[:8]) or 'nothing'}"
            )
        if found[0].stat().st_size > DEFAULT_LIMITS.max_bytes:
            raise MediaError(f"it has more than {DEFAULT_LIMITS.max_bytes} bytes")
        return found[0]

    def _collected(self, own: Mapping[str, str]) -> list[Path]:
        if self._collect is None:
            return []
        pattern = self._collect.fill({name: glob.escape(value) for name, value in own.items()})
        # An absolute pattern stays as it is.
        return [Path(found) for found in sorted(glob.glob(str(Path(glob.escape(self._arguments.cwd)) / pattern)))]

    def _environment(self, temporary: Path) -> Mapping[str, str]:
        names = (*BASE_ENVIRONMENT, *self._arguments.env)
        return {**{name: os.environ[name] for name in names if name in os.environ}, "TMPDIR": str(temporary)}

    def _check(self) -> None:
        arguments = self._arguments
        if not arguments.argv or not arguments.argv[0]:
            raise UsageError("argv: no program is named; give a list such as [python, tool.py, …]")
        if arguments.cwd and not Path(arguments.cwd).is_dir():
            raise UsageError(f"cwd: {arguments.cwd}: no such folder")
        if not self._argv[0].names and not _is_program(arguments.argv[0], arguments.cwd):
            raise UsageError(f"argv: {arguments.argv[0]}: no such program; install it, or give its path")
        if arguments.emotions:
            require_each_emotion("emotions", arguments.emotions)
        for name in arguments.env:
            if name not in os.environ:
                raise UsageError(f"env: the environment variable {name} is not set; export it, or leave it out")
        if self._collect is None and self._output not in self.placeholders:
            raise UsageError(
                f"argv: nothing takes {{{self._output}}}; add it, or tell by `collect` where the output is"
            )
        if self._collect is not None and not (
            OUT_NAME in self._collect.names or self._collect.parts[0] == ("", OUT_DIR)
        ):
            raise UsageError(
                f"collect: {arguments.collect!r} may find what other units made; begin it with {{{OUT_DIR}}}, or put "
                f"{{{OUT_NAME}}} into it"
            )


def require_each_emotion(where: str, values: Mapping[str, str]) -> None:
    """Refuse a mapping that does not tell the release's emotions apart, each by a value of its own (UsageError)."""
    for name in values:
        if name not in EMOTIONS:
            raise UsageError(f"{where}: there is no emotion {name!r}{hint(name, EMOTIONS)}")
    if missing := [name for name in EMOTIONS if not values.get(name)]:
        raise UsageError(f"{where}: nothing is told for {', '.join(missing)}; give a value for each emotion")
    if alike := [name for name in EMOTIONS if list(values.values()).count(values[name]) > 1]:
        raise UsageError(f"{where}: {', '.join(alike)} have a value in common; give each emotion its own")


def _argument(template: Template, values: Mapping[str, str]) -> str:
    argument = template.fill(values)
    literal, name = template.parts[0] if template.parts else ("", None)
    if argument.startswith("-") and not literal and name is not None:
        raise BuildError(f"{{{name}}} is {argument[:40]!r}, which a tool would take for an option")
    return argument


def _is_program(name: str, cwd: str) -> bool:
    return shutil.which(name) is not None or ("/" in name and os.access(Path(cwd) / name, os.X_OK))
