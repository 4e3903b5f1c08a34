"""Models that answer from a process in a private environment, restarted where it is lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import GenerationError
from avemo_harness.models.baichuan_omni import BaichuanOmni
from avemo_harness.models.base import Capabilities, ModelSetup
from avemo_harness.models.environments import stand_ins
from avemo_harness.models.environments.recipes import Environment, find_recipe
from avemo_harness.models.minicpm_o import MiniCpmO
from avemo_harness.models.worker.process import Worker, WorkerLog, WorkerLostError
from avemo_harness.models.worker.protocol import WorkerConfig

HOPELESS = 3
"""Batches lost one after the other, before any was answered, after which no worker is started for another."""

Result = TypeVar("Result")


class Host:
    """Asks a worker, and another one where that is lost.

    Args:
        start: gives a new worker.
    """

    def __init__(self, start: Callable[[], Worker]) -> None:
        self._start = start
        self._worker: Worker | None = None
        self._answered = False
        self._lost = 0

    def identity(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """The model's identity, and the stand-ins that it runs with.

        Raises:
            ModelError: the worker cannot be started, or the model cannot be made in it.
            WorkerLostError: it was lost.
        """
        return self._asked(lambda worker: (worker.identity(), worker.stand_ins))

    def generate(self, requests: Sequence[Request]) -> list[Response]:
        """Answer a batch; if the worker is lost, another one is asked all of it.

        Raises:
            WorkerLostError: that one was lost too.
            AvemoError: the worker cannot be started again, or what the model raised.
        """
        if not self._answered and self._lost >= HOPELESS:
            raise GenerationError(
                f"the worker process was lost with each of {self._lost} batches and never answered; none is started "
                "for more of them in this run"
            )
        try:
            return self._generate(requests)
        except WorkerLostError:
            try:
                return self._generate(requests)
            except WorkerLostError:
                self._lost += 1
                raise

    def prefetch(self, request: Request) -> None:
        """Let the model make ready what a request will need, if it is running."""
        worker = self._worker  # another thread may take a lost one away
        if worker is not None:
            worker.prefetch(request)

    def _generate(self, requests: Sequence[Request]) -> list[Response]:
        answers = self._asked(lambda worker: worker.generate(requests))
        self._answered = True
        return answers

    def _asked(self, ask: Callable[[Worker], Result]) -> Result:
        try:
            if self._worker is None:
                self._worker = self._start()
            return ask(self._worker)
        except WorkerLostError:
            self._worker = None
            raise


STAND_INS = Path(stand_ins.__file__).parent


class HostedModel:
    """A model class in an environment of its own. A subclass says which, and takes over its arguments.

    Nothing is started before its identity or an answer is asked for. A ModelError then tells how to make the
    environment where that is missing.
    """

    environment: ClassVar[str]
    """Name of the environment, and of the model."""
    class_path: ClassVar[str]
    """Of the class that runs there, as ``module:attribute``."""
    capabilities: Capabilities
    """Of that class."""

    def __init__(self, arguments: Any, setup: ModelSetup) -> None:
        self._arguments, self._setup = arguments, setup
        self._host, self._log = Host(self._start), WorkerLog()

    def identity(self) -> Mapping[str, str]:
        """The model's identity there, and what the environment is made of."""
        identity, stand_ins = self._host.identity()
        environment = self._environment
        finished = environment.finished()
        packages = {} if finished is None else finished.packages
        return {
            **identity,
            "environment": environment.recipe.digest,
            "packages": " ".join(f"{name}=={version}" for name, version in sorted(packages.items())),
            "stand_ins": " ".join(stand_ins) or "none",
        }

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return self._host.generate(requests)

    def prefetch(self, request: Request) -> None:
        self._host.prefetch(request)

    def log_to(self, path: Path) -> None:
        self._log.keep_in(path)

    @cached_property
    def _environment(self) -> Environment:
        return Environment(find_recipe(self.environment))

    def _start(self) -> Worker:
        environment = self._environment
        environment.check_ready()
        wanted = environment.recipe.stand_ins
        config = WorkerConfig(
            name=self.environment,
            class_path=self.class_path,
            arguments=dataclasses.asdict(self._arguments),
            device=self._setup.device,
            outputs=tuple(sorted(self._setup.outputs)),
            paths=(str(STAND_INS),) if wanted else (),
            stand_ins=wanted,
        )
        self._setup.say(f"starting {self.environment} in its environment")
        return Worker(environment.python, config, self._log, self._setup.say)


class HostedMiniCpmO(HostedModel):
    """MiniCPM-o 2.6 in an environment of its own: sees and hears the whole dialogue, names emotions, and speaks."""

    environment = "minicpm-o"
    class_path = "avemo_harness.models.minicpm_o:MiniCpmO"
    Arguments = MiniCpmO.Arguments
    capabilities = MiniCpmO.capabilities


class HostedBaichuanOmni(HostedModel):
    """Baichuan-Omni-1.5 in an environment of its own: sees and hears the whole dialogue, names emotions, and speaks."""

    environment = "baichuan-omni"
    class_path = "avemo_harness.models.baichuan_omni:BaichuanOmni"
    Arguments = BaichuanOmni.Arguments
    capabilities = BaichuanOmni.capabilities
