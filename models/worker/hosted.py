"""Models that answer from a process in a private environment; to a run they are like any other."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from avemo_harness.benchmark.request import Request, Response
from avemo_harness.models.base import Capabilities, ModelSetup
from avemo_harness.models.environments import stand_ins
from avemo_harness.models.environments.places import Environment
from avemo_harness.models.environments.recipes import find_recipe
from avemo_harness.models.worker.host import Host
from avemo_harness.models.worker.log import WorkerLog
from avemo_harness.models.worker.payloads import Order
from avemo_harness.models.worker.process import Worker

STAND_INS = Path(stand_ins.__file__).parent


class HostedModel:
    """A model class in an environment of its own. A subclass says which, and takes over its arguments.

    Nothing is started before it is asked who it is or what it answers. A ModelError then tells how to make the
    environment where that is missing.
    """

    environment: ClassVar[str]
    """Name of the environment, and of the model."""
    place: ClassVar[str]
    """Of the class that runs there, as ``module:attribute``."""
    capabilities: Capabilities
    """Of that class."""

    def __init__(self, arguments: Any, setup: ModelSetup) -> None:
        self._arguments, self._setup = arguments, setup
        self._host, self._log = Host(self._start), WorkerLog()

    def identity(self) -> Mapping[str, str]:
        """What the model says it is there, and what the environment is made of."""
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
        """Let the worker decode a request's clips."""
        self._host.prefetch(request)

    def log_to(self, path: Path) -> None:
        """Keep what the worker writes to its standard output and error in a file."""
        self._log.keep_in(path)

    @cached_property
    def _environment(self) -> Environment:
        return Environment(find_recipe(self.environment))

    def _start(self) -> Worker:
        environment = self._environment
        environment.check_ready()
        wanted = environment.recipe.stand_ins
        order = Order(
            name=self.environment,
            place=self.place,
            arguments=dataclasses.asdict(self._arguments),
            device=self._setup.device,
            outputs=tuple(sorted(self._setup.outputs)),
            paths=(str(STAND_INS),) if wanted else (),
            stand_ins=wanted,
        )
        self._setup.say(f"starting {self.environment} in its environment")
        return Worker(environment.python, order, self._log, self._setup.say)
