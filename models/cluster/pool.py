"""The side of a run: hand requests to the workers of a Ray cluster, and live with those that come and go."""

from __future__ import annotations

import atexit
import logging
import math
import os
import shutil
import socket
import tempfile
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import avemo_harness
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import GenerationError, ModelError, describe, first_line
from avemo_harness.models import check_requires, load_class, requires_of
from avemo_harness.models.base import AnswersByItem, BatchSize, Capabilities, Concurrent, ModelSetup, batch_size_of
from avemo_harness.models.cluster.options import RayOptions
from avemo_harness.models.cluster.remote import ActorModel, Answers, Introduction, ModelActor
from avemo_harness.models.worker.protocol import clips_of, error_content, error_from, request_content, responses_from

LOSSES = 3
"""Workers lost while they were asked the same request, after which it is not asked again."""
REACHED_WITHIN_S = 10.0
ROOM_WITHIN_S = 20.0
LOOK_S = 0.5
"""Between two looks whether somebody still waits."""
LINGER_S = 0.02
"""For more requests to come, where a batch is not full yet."""
KEPT_BYTES = 2**29
"""Of clips that no request under way needs, in Ray's object store: later turns of a dialogue show them again."""


class _PoolClosedError(Exception):
    """Nobody waits for answers any more."""


@dataclass(eq=False, slots=True)
class _Asked:
    """A request under way.

    Args:
        losses: workers that were lost with it.
    """

    request: Request
    answer: Future[Response]
    losses: int = 0


class RayPool:
    """A model on the workers of a Ray cluster, as one model that answers side by side.

    Each worker is an actor that is given one batch at a time. The batch of a lost one is asked again, of another or of
    the one that takes its place.

    Args:
        name, arguments, setup: as in `avemo_harness.models.load_model`.
        batch_size: of each worker.

    Raises:
        ModelError: no such model, one that cannot run on a cluster, no cluster, or no worker can make the model.
    """

    def __init__(
        self,
        name: str,
        arguments: Mapping[str, Any],
        setup: ModelSetup,
        options: RayOptions,
        batch_size: BatchSize = None,
    ) -> None:
        self._name, self._say, self._options = name, setup.say, options
        _check_suitable(name)
        self._ray = _connect(options, setup.say)
        self._queue: deque[_Asked] = deque()
        self._changed = threading.Condition()
        self._said: set[str] = set()
        self._live, self._open_slots, self._closed = 0, options.workers, False
        self._clips = _SharedClips(self._ray)
        wanted = ActorModel(name, dict(arguments), setup.device, tuple(sorted(setup.outputs)))
        try:
            self._make = _actor_maker(self._ray, options, wanted)
            first = self._make()
            self._introduction = self._introduced(first)
            if self._introduction.failed is not None:
                raise error_from(self._introduction.failed)
        except self._ray.exceptions.RayActorError as error:
            self._ray.shutdown()
            raise ModelError(f"a worker of the cluster is lost while it makes {name} ({first_line(error)})") from error
        except self._ray.exceptions.RayError as error:
            self._ray.shutdown()
            raise ModelError(f"no worker of the cluster can be made for {name} ({first_line(error)})") from error
        except BaseException:
            self._ray.shutdown()
            raise
        assert self._introduction.capabilities is not None
        self._batch = batch_size_of(batch_size, self._introduction.capabilities)
        # As many again wait, so that no worker does.
        at_once = 2 * self._batch * options.workers
        self.capabilities: Capabilities = replace(
            self._introduction.capabilities, largest_batch=at_once, usual_batch=at_once
        )
        self._slots = [
            threading.Thread(target=self._work, args=(first if number == 0 else None,), daemon=True)
            for number in range(options.workers)
        ]
        for slot in self._slots:
            slot.start()
        atexit.register(self.close)

    def identity(self) -> Mapping[str, str]:
        return dict(self._introduction.identity)

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [answer.result() for answer in [self.submit(request) for request in requests]]

    def submit(self, request: Request) -> Future[Response]:
        asked = _Asked(request, Future())
        with self._changed:
            if self._open_slots:
                self._queue.append(asked)
                self._changed.notify()
            else:
                asked.answer.set_exception(self._no_worker())
        return asked.answer

    def prefetch(self, request: Request) -> None:
        """Put the clips of a request into Ray's object store."""
        if self._closed:  # Ray would begin a cluster anew
            return
        for clip in clips_of(request).values():
            self._clips.object(clip)

    def close(self) -> None:
        """End all workers; what they hold, such as GPUs, is free for others."""
        if self._closed:
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        atexit.unregister(self.close)
        # Ray ends the process if a thread calls it after its end.
        for slot in self._slots:
            slot.join()
        self._clips.clear()
        self._ray.shutdown()

    def _work(self, actor: Any) -> None:
        """Keep one worker at work; another one takes the place of one that is lost."""
        losses = 0
        try:
            while losses < LOSSES:
                try:
                    actor = actor or self._another()
                    with self._counted():
                        while (batch := self._take_batch()) is not None:
                            self._ask(actor, batch)
                            losses = 0
                    return
                except self._ray.exceptions.RayActorError as error:
                    losses, reason, actor = losses + 1, first_line(error), None
                    self._tell(f"a worker of the cluster is lost; what it was asked is asked again ({reason})")
            raise ModelError(f"{LOSSES} workers were lost one after the other, before any answered ({reason})")
        except Exception as error:  # a worker that cannot be made, or a cluster that is gone
            self._give_up(error)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a worker among those that share what is asked."""
        with self._changed:
            self._live += 1
        try:
            yield
        finally:
            with self._changed:
                self._live -= 1

    def _another(self) -> Any:
        """A new worker, once the cluster has room for it.

        Raises:
            ModelError: its model cannot be made, or is not the run's.
        """
        actor = self._make()
        ours, other = self._introduction, self._introduced(actor)
        if other.failed is not None:
            raise ModelError(f"on {other.node}: {other.failed['message']}")
        for key in dict.fromkeys([*ours.identity, *other.identity]):
            here, there = ours.identity.get(key), other.identity.get(key)
            if here != there:
                raise ModelError(
                    f"on {other.node} {self._name} is another model than on {ours.node}: {key} is {there}, not {here}"
                )
        return actor

    def _introduced(self, actor: Any) -> Introduction:
        pending = actor.introduce.remote()
        if not self._ray.wait([pending], timeout=ROOM_WITHIN_S)[0] and not self._live:
            self._tell(
                "no worker has begun yet: the cluster has no room for one, or the model's packages are slow to load "
                "(`ray status` tells)"
            )
        introduction: Introduction = self._result(pending)
        return introduction

    def _result(self, pending: Any) -> Any:
        """Value that a worker returns, which may have to wait for room in the cluster (_PoolClosedError: no more)."""
        while not self._ray.wait([pending], timeout=LOOK_S)[0]:
            if self._closed:
                raise _PoolClosedError
        return self._ray.get(pending)

    def _take_batch(self) -> list[_Asked] | None:
        """The next requests of one kind, for one worker; None once the pool is closed."""
        with self._changed:
            while not self._queue:
                if self._closed:
                    return None
                self._changed.wait()
            first = self._queue.popleft()
            batch = [first]
            if first.losses:  # alone, since it may be what the worker was lost by
                return batch
            if len(self._queue) < self._batch:
                self._changed.wait(LINGER_S)
            # What is left at the end is shared by all workers.
            share = math.ceil((len(self._queue) + 1) / max(1, self._live))
            while self._queue and len(batch) < min(self._batch, share):
                upcoming = self._queue[0]
                if upcoming.losses or upcoming.request.output.type != first.request.output.type:
                    break
                batch.append(self._queue.popleft())
            return batch

    def _ask(self, actor: Any, batch: Sequence[_Asked]) -> None:
        """Ask a worker, and give its answers to those who wait (RayActorError: it is lost)."""
        clips = {digest: clip for asked in batch for digest, clip in clips_of(asked.request).items()}
        try:
            # Held here until the answers are there, whatever is dropped of the clips that are kept for later.
            shared = {digest: self._clips.object_or_error(clip) for digest, clip in clips.items()}
            described = [request_content(asked.request) for asked in batch]
            answers: Answers = self._result(actor.generate.remote(described, shared))
            # Read here, so that whatever cannot be read is an answer too and nobody waits for it forever.
            responses = [] if answers.failed is not None else responses_from(answers.responses, answers.buffers)
        except self._ray.exceptions.RayActorError as error:
            self._ask_again(batch, first_line(error))
            raise
        except _PoolClosedError:
            raise
        except Exception as error:  # what Ray itself cannot do, such as holding so much
            for asked in batch:
                asked.answer.set_result(Response(error=describe(GenerationError(f"Ray: {first_line(error)}"))))
            return
        for sentence in answers.said:
            self._tell(sentence)
        if answers.failed is not None:
            for asked in batch:
                asked.answer.set_exception(error_from(answers.failed))
            return
        for asked, response in zip(batch, responses, strict=True):
            asked.answer.set_result(response)

    def _ask_again(self, batch: Sequence[_Asked], reason: str) -> None:
        with self._changed:
            for asked in reversed(batch):
                asked.losses += 1
                if asked.losses < LOSSES:
                    self._queue.appendleft(asked)
                    continue
                lost = GenerationError(f"{LOSSES} workers were lost while they were asked this; the last one: {reason}")
                asked.answer.set_result(Response(error=describe(lost)))
            self._changed.notify_all()

    def _give_up(self, error: Exception) -> None:
        """Go on with one worker less; without any, end all that is waited for."""
        with self._changed:
            if self._closed:
                return
            self._open_slots -= 1
            left, waiting = self._open_slots, [] if self._open_slots else list(self._queue)
            if waiting:
                self._queue.clear()
        self._tell(f"one worker less, {left} left: {first_line(error)}")
        for asked in waiting:
            asked.answer.set_exception(self._no_worker())

    def _no_worker(self) -> ModelError:
        return ModelError(f"no worker of the cluster can run {self._name} any more; what was answered is kept")

    def _tell(self, sentence: str) -> None:
        """Say a sentence, once, however many workers have it to say."""
        with self._changed:
            if sentence in self._said:
                return
            self._said.add(sentence)
        self._say(sentence)


class _SharedClips:
    """Clips in Ray's object store by digest: those that requests under way hold, and the latest of others."""

    def __init__(self, ray: Any) -> None:
        self._ray, self._lock = ray, threading.Lock()
        self._kept: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def object(self, clip: Clip) -> Any:
        """The clip's object; its bytes are read, and its condition is made, where there is none yet."""
        with self._lock:
            if clip.sha256 in self._kept:
                self._kept.move_to_end(clip.sha256)
                return self._kept[clip.sha256][0]
        import numpy as np

        data = clip.fetch()
        # Of an array, other than of bytes, workers of one node read one copy.
        stored = self._ray.put(np.frombuffer(data, np.uint8))
        with self._lock:
            self._kept[clip.sha256] = stored, len(data)
            while sum(size for _, size in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)
        return stored

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    def object_or_error(self, clip: Clip) -> Any:
        """The clip's object, or the error that the model's reading of it is to fail with."""
        try:
            return self.object(clip)
        except Exception as error:  # whatever reading or encoding raises
            return error_content(error)


def _check_suitable(name: str) -> None:
    """Refuse a model that does not compute where it runs (ModelError)."""
    model_class = load_class(name)
    check_requires(name, requires_of(model_class))
    if issubclass(model_class, Concurrent):
        raise ModelError(f"{name} asks a server, which has workers of its own: give --num_concurrent, not --executor")
    if issubclass(model_class, AnswersByItem) or model_class.capabilities.needs_reference:
        raise ModelError(f"{name} computes nothing and needs no cluster; leave --executor out")


def _connect(options: RayOptions, say: Callable[[str], None]) -> Any:
    """The package ray, connected to a cluster whose workers import this very package.

    Raises:
        ModelError: Ray is not installed, or there is no such cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise ModelError("--executor ray needs Ray: pip install 'avemo-harness[ray]'") from error
    address = options.ray_address or os.environ.get("RAY_ADDRESS")
    # A cluster that this run starts has a place for each worker, however few cores there are.
    cores = max(os.cpu_count() or 1, options.workers)
    where: dict[str, Any] = {"address": address} if address else {"address": "local", "num_cpus": cores}
    if address:
        _check_reachable(address)
    say(f"connecting to Ray at {address}" if address else f"starting Ray on this machine, {options.workers} workers")
    with tempfile.TemporaryDirectory(prefix="avemo-ray-") as folder:
        try:
            ray.init(
                **where,
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"py_modules": [str(_copy_package(Path(folder)))]},
            )
        except Exception as error:  # of many classes, some of Python's own
            raise ModelError(f"Ray at {address or 'this machine'} cannot be used: {first_line(error)}") from error
    here = 0.0 if address else cast("Any", ray).cluster_resources().get("GPU", 0)
    if not address and options.gpus_per_worker > here:
        ray.shutdown()
        raise ModelError(f"--gpus_per_worker {options.gpus_per_worker:g}: Ray sees {here:g} GPUs on this machine")
    return ray


def _check_reachable(address: str) -> None:
    """Refuse an address behind which nothing listens (ModelError); Ray itself would try for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return  # a word of Ray's own, such as auto
    try:
        socket.create_connection((host, int(port)), timeout=REACHED_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise ModelError(
            f"nothing answers at the Ray address {address} ({error}); `ray start --head` begins a cluster, "
            "`ray status` tells whether one runs"
        ) from error


def _copy_package(folder: Path) -> Path:
    """A copy of this package for the workers, which neither share a folder with it nor may run another version."""
    package = Path(avemo_harness.__file__).parent
    return Path(shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__")))


def _actor_maker(ray: Any, options: RayOptions, wanted: ActorModel) -> Callable[[], Any]:
    actor = ray.remote(ModelActor).options(num_cpus=1, num_gpus=options.gpus_per_worker or None)
    return lambda: actor.remote(wanted)
