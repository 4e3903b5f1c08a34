"""The worker's side: host one model and answer messages until the run hangs up."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from itertools import count
from queue import SimpleQueue
from typing import Any, NoReturn, cast

from avemo_harness.errors import AvemoError, GenerationError, ModelError, first_line
from avemo_harness.models import check_requires, requires_of
from avemo_harness.models.base import ModelSetup, OmniModel, Output, Prefetching
from avemo_harness.models.worker.protocol import (
    VERSION,
    Buffer,
    Connection,
    Frame,
    StreamError,
    WorkerConfig,
    error_content,
    error_from,
    request_from,
    responses_content,
)
from avemo_harness.phases import PhaseClock
from avemo_harness.registry import load_object, typed_arguments
from avemo_harness.torch_setup import device_is_lost

PREFETCHING_THREADS = 2
LOST_DEVICE = 71
"""Exit status of a process whose GPU is of no more use to it."""

Answer = tuple[dict[str, Any], list[Buffer]]


def serve(end: socket.socket) -> NoReturn:
    """Answer the parent at the other end of a socket; never returns."""
    # An interrupt from the keyboard reaches both processes; it is the parent that decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(end)
    connection.send(Frame("hello", {"version": VERSION}))
    commands: SimpleQueue[Frame] = SimpleQueue()
    host = ModelHost(connection)
    threading.Thread(target=_listen, args=(connection, host, commands), name="listen", daemon=True).start()
    while True:
        host.handle(commands.get())


def _listen(connection: Connection, host: ModelHost, commands: SimpleQueue[Frame]) -> None:
    """Hand on what the parent says; ends the process with the stream."""
    try:
        while True:
            message = connection.receive()
            if message.kind == "clip":
                host.clip_came(message)
            elif message.kind == "prefetch":
                host.prefetch(message)
            else:
                commands.put(message)
    except StreamError:
        pass  # (the parent is gone, or was cut off while it spoke: nobody is left to answer)
    finally:
        if host.scratch is not None:
            shutil.rmtree(host.scratch, ignore_errors=True)
        os._exit(0)


class ModelHost:
    """Holds the model, and the calls that are under way with the parent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._model: OmniModel | None = None
        self._name = ""
        self._beat_s = 1.0
        self.scratch: str | None = None
        self._tickets = count()
        self._wanted: dict[int, Future[bytes]] = {}
        self._clock = PhaseClock()
        self._prefetching = ThreadPoolExecutor(
            PREFETCHING_THREADS, thread_name_prefix="prefetch", initializer=self._clock.attach
        )

    def handle(self, command: Frame) -> None:
        """Do what the parent asks for, giving signs of life until it is done."""
        call, done = command.content["call"], threading.Event()
        beating = threading.Thread(target=self._beat, args=(done,), name="beat", daemon=True)
        beating.start()
        try:
            content, buffers = self._handlers[command.kind](self, command.content)
            self._connection.send(Frame("answer", {"call": call, **content}, buffers))
        except ImportError as error:
            traceback.print_exc()
            lacking = ModelError(
                f"{self._name}: its environment lacks something ({first_line(error)}); make it anew: "
                f"`avemo-eval env remove {self._name}`, then create"
            )
            self._fail(call, lacking)
        except Exception as error:  # whatever the model raises is for the parent to know
            if device_is_lost(error):
                traceback.print_exc()
                os._exit(LOST_DEVICE)  # another process gets the device anew
            self._fail(call, error)
        finally:
            done.set()
            beating.join()

    def prefetch(self, message: Frame) -> None:
        self._prefetching.submit(self._prefetch, message.content)

    def clip_came(self, message: Frame) -> None:
        """Take in a clip that was asked for, or the reason why it cannot be read."""
        waiting = self._wanted.pop(message.content["ticket"])
        failed = message.content.get("failed")
        if failed is None:
            waiting.set_result(bytes(message.buffers[0]))
        else:
            waiting.set_exception(error_from(failed))

    def _make(self, content: Mapping[str, Any]) -> Answer:
        config = WorkerConfig.from_json(content["config"])
        self._beat_s, self.scratch = config.beat_s, config.scratch
        sys.path.extend(config.paths)
        setup = ModelSetup(
            say=lambda sentence: self._connection.send(Frame("said", {"sentence": sentence})),
            device=config.device,
            outputs=frozenset(cast("tuple[Output, ...]", config.outputs)),
        )
        self._name = config.name
        model_class = load_object(config.class_path)
        advice = f"make its environment anew: `avemo-eval env remove {config.name}`, then create"
        check_requires(config.name, requires_of(model_class), advice)
        arguments = typed_arguments(config.name, model_class.Arguments, config.arguments, ModelError)
        self._model = model_class(arguments, setup)
        return {"stand_ins": [name for name in config.stand_ins if _comes_from(name, config.paths)]}, []

    def _identity(self, content: Mapping[str, Any]) -> Answer:
        del content
        return {"identity": dict(self._made.identity())}, []

    def _generate(self, content: Mapping[str, Any]) -> Answer:
        fetch = partial(self._fetch, content["call"])
        with self._clock.asking():
            described, buffers = responses_content(
                self._made.generate([request_from(request, fetch) for request in content["requests"]])
            )
        phases = {name: [seconds.asking, seconds.beside] for name, seconds in self._clock.take().items()}
        return {"responses": described, "phases": phases}, buffers

    _handlers: Mapping[str, Callable[[ModelHost, Mapping[str, Any]], Answer]] = {
        "make": _make,
        "identity": _identity,
        "generate": _generate,
    }

    @property
    def _made(self) -> OmniModel:
        if self._model is None:
            raise GenerationError("no model has been made")
        return self._model

    def _prefetch(self, content: Mapping[str, Any]) -> None:
        call = content["call"]
        try:
            if isinstance(self._model, Prefetching):
                self._model.prefetch(request_from(content["request"], partial(self._fetch, call)))
        except Exception:  # it will come again where it matters: in the answer
            traceback.print_exc()
        self._connection.send(Frame("prefetched", {"call": call}))

    def _fetch(self, call: int, digest: str) -> bytes:
        """A clip's bytes, from the parent, who knows it by the call that it belongs to."""
        ticket, waiting = next(self._tickets), Future[bytes]()
        self._wanted[ticket] = waiting
        self._connection.send(Frame("clip", {"call": call, "digest": digest, "ticket": ticket}))
        return waiting.result()

    def _fail(self, call: int, error: Exception) -> None:
        if not isinstance(error, AvemoError):
            traceback.print_exc()
        self._connection.send(Frame("failed", {"call": call, "failed": error_content(error)}))

    def _beat(self, done: threading.Event) -> None:
        while not done.wait(self._beat_s):
            self._connection.send(Frame("beat", {"cpu_s": time.process_time()}))


def _comes_from(module: str, folders: tuple[str, ...]) -> bool:
    """True where a module would be imported from one of the folders."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None and spec.origin.startswith(folders)
