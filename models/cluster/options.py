"""Options of a Ray cluster, apart from what needs Ray."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from avemo_harness.errors import UsageError
from avemo_harness.options import option


@dataclass(frozen=True, slots=True)
class RayOptions:
    """The cluster and its workers."""

    ray_address: str | None = field(
        default=None,
        metadata=option("of a running cluster (default: RAY_ADDRESS, else one of this machine, for this run)"),
    )
    workers: int = field(
        default=1,
        metadata=option("each with a model of its own; those that have no room yet begin when a node joins"),
    )
    gpus_per_worker: float = field(default=0, metadata=option("GPUs of each worker, or a share of one"))

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UsageError(f"--workers must be 1 or more, found {self.workers}")
        if not 0 <= self.gpus_per_worker < math.inf:
            raise UsageError(f"--gpus_per_worker must be 0 or more, found {self.gpus_per_worker:g}")
        if self.gpus_per_worker != round(self.gpus_per_worker, 0 if self.gpus_per_worker > 1 else 4):
            raise UsageError(
                "--gpus_per_worker must be whole above 1, and a share of a GPU has at most 4 digits: "
                f"found {self.gpus_per_worker:g}, which Ray cannot give"
            )
