"""The run's side of a worker process: start, ask, watch for its death, keep its log."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import IO, Any

import avemo_harness
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import AvemoError, GenerationError, ModelError, StoreError
from avemo_harness.models.worker.protocol import (
    VERSION,
    Connection,
    Frame,
    StreamError,
    WorkerConfig,
    clips_of,
    error_content,
    error_from,
    request_content,
    responses_from,
)
from avemo_harness.phases import PhaseSeconds, credit

LAST_LINES = 3
"""Number of the last lines that an error quotes."""
MOST_PENDING = 2**20
"""Bytes that are kept while there is no file for them."""
LONGEST_LINE = 2**16
PATIENCE_S = 1.0
"""For the end of what a process wrote that has just ended."""


class WorkerLog:
    """Takes what one worker after the other writes: into memory at first, and into a file as soon as one is named."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: deque[bytes] = deque()
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._path: Path | None = None
        self._lost = ""
        self._reading: threading.Thread | None = None

    def follow(self, stream: IO[bytes]) -> None:
        """Take all that a new worker writes, from a thread, until the stream ends."""
        self._last = last = deque[str](maxlen=LAST_LINES)
        self._reading = threading.Thread(target=self._read, args=(stream, last), name="worker's output", daemon=True)
        self._reading.start()

    def keep_in(self, path: Path) -> None:
        """Keep what was written so far, and everything from now on, in a file; it is appended to.

        Raises:
            StoreError: it cannot be written.
        """
        with self._lock:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "ab") as file:
                    file.writelines(self._pending)
            except OSError as error:
                raise StoreError(f"{path}: cannot be written ({error.strerror}); make room") from error
            self._pending.clear()
            self._path = path

    def last_words(self) -> str:
        """The newest worker's last lines, for the end of an error's message; empty where it wrote nothing."""
        if self._reading is not None:
            self._reading.join(PATIENCE_S)
        with self._lock:
            where = f" (in {self._path})" if self._path else ""
            words = f"; its last words: {' / '.join(self._last)!r}{where}" if self._last else ""
            return words + self._lost

    def _read(self, stream: IO[bytes], last: deque[str]) -> None:
        with stream:
            while line := stream.readline(LONGEST_LINE):
                with self._lock:
                    self._keep(line)
                    if text := line.decode("utf-8", "replace").strip():
                        last.append(text)

    def _keep(self, line: bytes) -> None:
        if self._path is None:
            self._pending.append(line)
            while sum(map(len, self._pending)) > MOST_PENDING:
                self._pending.popleft()
            return
        try:
            with open(self._path, "ab") as file:
                file.write(line)
        except OSError as error:
            self._lost = f"; what it wrote could not be kept ({error.strerror})"


START = Path(avemo_harness.__file__).parent / "models" / "worker" / "start.py"
WORKING = 0.01
"""Seconds of computing between two beats that tell work from waiting."""


class WorkerLostError(GenerationError):
    """The worker process ended, hangs, or says what cannot be understood."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Longest times that a worker is waited for, in seconds.

    Args:
        start: until it says its first word.
        silence: without a sign of life while it is busy, and for a message that was begun.
        idleness: with signs of life, but without any computing: it waits for something that does not come.
        beat: between its signs of life.
    """

    start: float = 300.0
    silence: float = 300.0
    idleness: float = 1800.0
    beat: float = 2.0


class Worker:
    """A process that hosts a model.

    Args:
        python: interpreter of its environment.
        config: the model; `scratch` and `beat_s` are filled in.
        log: takes what it writes to its standard output and error.
        say: takes the model's sentences for the user.

    Raises:
        ModelError: it cannot be started, or the model cannot be made in it.
        WorkerLostError: it ended before it was ready.
    """

    def __init__(
        self,
        python: Path,
        config: WorkerConfig,
        log: WorkerLog,
        say: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:
        self._name, self._log, self._say = config.name, log, say
        self._patience = patience or Patience()
        self._calls, self._clips = count(), dict[int, Mapping[str, Clip]]()
        self.scratch = scratch = tempfile.mkdtemp(prefix="avemo-worker-")
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _start(python, theirs, scratch)
        assert self._process.stdout is not None
        log.follow(self._process.stdout)
        self._connection = Connection(ours, self._patience.silence)
        self._finalizer = weakref.finalize(self, _clear_away, self._process, self._connection, scratch)
        try:
            self._greet()
            config = replace(config, scratch=scratch, beat_s=self._patience.beat)
            self.stand_ins: tuple[str, ...] = tuple(self._ask("make", {"config": asdict(config)}).content["stand_ins"])
        except AvemoError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def identity(self) -> dict[str, str]:
        return dict(self._ask("identity", {}).content["identity"])

    def generate(self, requests: Sequence[Request]) -> list[Response]:
        """As in `OmniModel`.

        Raises:
            WorkerLostError: the process is lost; this object is of no more use.
            AvemoError: what the model raised, or a GenerationError that names it.
        """
        clips = {digest: clip for request in requests for digest, clip in clips_of(request).items()}
        answer = self._ask("generate", {"requests": [request_content(request) for request in requests]}, clips)
        try:
            credit({name: PhaseSeconds(*seconds) for name, seconds in answer.content.get("phases", {}).items()})
            return responses_from(answer.content["responses"], answer.buffers)
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise self._lost(f"gave an answer that is none ({error})") from error

    def prefetch(self, request: Request) -> None:
        """Let the model make ready what a request will need; what it asks for is given during the next call."""
        call = next(self._calls)
        self._clips[call] = clips_of(request)
        with suppress(StreamError):  # `generate` will find the process lost
            self._connection.send(Frame("prefetch", {"call": call, "request": request_content(request)}))

    def close(self) -> None:
        self._finalizer()

    def _greet(self) -> None:
        if not self._connection.ready(self._patience.start):
            raise self._lost(f"did not start within {self._patience.start:.0f} s")
        hello = self._receive()
        version = hello.content.get("version")
        if hello.kind != "hello" or version != VERSION:
            raise ModelError(
                f"the worker process of {self._name} speaks version {version} of the protocol and this process version "
                f"{VERSION}: the package was changed while it ran; give the same command again"
            )

    def _ask(self, kind: str, content: Mapping[str, Any], clips: Mapping[str, Clip] | None = None) -> Frame:
        """The answer to a call; meanwhile, whatever the worker wants is given to it."""
        call = next(self._calls)
        self._clips[call] = clips or {}
        try:
            self._send(Frame(kind, {"call": call, **content}))
            watch = _Watch(self._patience)
            while True:
                if not self._connection.ready(_Watch.LOOK):
                    if wrong := watch.looked_in_vain():
                        raise self._lost(wrong)
                    continue
                message = self._receive()
                if wrong := watch.heard(message):
                    raise self._lost(wrong)
                if message.content.get("call") == call and message.kind == "answer":
                    return message
                if message.content.get("call") == call and message.kind == "failed":
                    raise error_from(message.content["failed"])
                self._serve(message)
        finally:
            self._clips.pop(call, None)

    def _serve(self, message: Frame) -> None:
        if message.kind == "clip":
            self._send(self._clip(message.content))
        elif message.kind == "said":
            self._say(message.content["sentence"])
        elif message.kind == "prefetched":
            self._clips.pop(message.content["call"], None)

    def _clip(self, wanted: Mapping[str, Any]) -> Frame:
        ticket = {"ticket": wanted["ticket"]}
        try:
            clip = self._clips.get(wanted["call"], {}).get(wanted["digest"])
            if clip is None:
                raise GenerationError("the model reads a clip of a request that has been answered")
            return Frame("clip", ticket, [clip.fetch()])
        except Exception as error:  # for the model's reading to fail with
            return Frame("clip", {**ticket, "failed": error_content(error)})

    def _send(self, message: Frame) -> None:
        try:
            self._connection.send(message)
        except StreamError as error:
            raise self._lost(f"takes no messages ({error})") from error

    def _receive(self) -> Frame:
        try:
            return self._connection.receive()
        except StreamError as error:
            raise self._lost(f"was cut off ({error})") from error

    def _lost(self, what: str) -> WorkerLostError:
        """End the process; the error that says how it was lost and what it wrote last."""
        with suppress(subprocess.TimeoutExpired):
            # One that ended by itself says how.
            self._process.wait(1.0)
        if (status := self._process.poll()) is not None:
            what = f"ended ({_exit_reason(status)})"
        self.close()
        return WorkerLostError(f"the worker process of {self._name} {what}{self._log.last_words()}")


class _Watch:
    """Counts the time for which a busy worker has given no sign of life, or no sign of work.

    Time is counted in looks, so that a parent that was stopped for an hour does not take its own sleep for silence.
    """

    LOOK = 1.0

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._silent = self._idle = 0.0
        self._cpu_s = 0.0

    def looked_in_vain(self) -> str | None:
        """Nothing came for one look; says what is wrong once it is."""
        self._silent += self.LOOK
        if self._silent >= self._patience.silence:
            return f"gave no sign of life for {self._patience.silence:.0f} s"
        return None

    def heard(self, message: Frame) -> str | None:
        """Something came; says what is wrong once it has been mere beating for too long."""
        self._silent = 0.0
        if message.kind != "beat" or message.content["cpu_s"] - self._cpu_s > WORKING * self._patience.beat:
            self._idle = 0.0
        else:
            self._idle += self._patience.beat
        self._cpu_s = message.content.get("cpu_s", self._cpu_s)
        if self._idle >= self._patience.idleness:
            return f"computed nothing for {self._patience.idleness:.0f} s"
        return None


def _start(python: Path, end: socket.socket, scratch: str) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    settings = {"PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1", "TMPDIR": scratch}
    # Where transformers copies a checkpoint's code to: what another checkpoint left there must not be taken for it.
    settings["HF_MODULES_CACHE"] = os.path.join(scratch, "code")
    try:
        return subprocess.Popen(
            [str(python), str(START), str(end.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[end.fileno()],
            env={**kept, **settings},
        )
    except OSError as error:
        shutil.rmtree(scratch, ignore_errors=True)
        raise ModelError(f"{python}: cannot be started ({error.strerror}); make its environment again") from error


def _clear_away(process: subprocess.Popen[bytes], connection: Connection, scratch: str) -> None:
    connection.close()
    process.kill()
    process.wait()
    shutil.rmtree(scratch, ignore_errors=True)


def _exit_reason(status: int) -> str:
    return f"killed by signal {-status}, {signal.strsignal(-status)}" if status < 0 else f"exit status {status}"
