"""Time, memory and utilisation of a GPU in a measurement; the machine that it ran on."""

from __future__ import annotations

import platform
import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

QUERY = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
LOOK_S = 0.25


@dataclass
class Use:
    """Seconds, and looks at how busy the GPU, or without one this process, was."""

    seconds: float = 0.0
    looks: list[float] = field(default_factory=list)

    @property
    def busy(self) -> float | None:
        """Share of the time in which the GPU computed; of the CPU, processors in use."""
        return round(sum(self.looks) / len(self.looks), 3) if self.looks else None


@contextmanager
def watched() -> Iterator[Use]:
    """Watch the block; what a GPU was given in it is finished before it ends."""
    import torch

    use, cuda, ended = Use(), torch.cuda.is_available(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(use, ended), daemon=True)
    if cuda:
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
        watcher.start()
    started, cpu = time.perf_counter(), time.process_time()
    try:
        yield use
    finally:
        if cuda:
            torch.cuda.synchronize()
        use.seconds = time.perf_counter() - started
        if not cuda:
            use.looks.append((time.process_time() - cpu) / use.seconds)
        ended.set()
        if watcher.is_alive():
            watcher.join()


def _watch(use: Use, ended: threading.Event) -> None:
    while not ended.wait(LOOK_S):
        try:
            said = subprocess.run(QUERY, capture_output=True, text=True, timeout=5, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            return
        use.looks.append(float(said.split()[0]) / 100)


def peak_gib() -> float:
    """Peak memory in GiB: of the GPU since the last `watched`, else of this process."""
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def describe_machine() -> dict[str, Any]:
    """Card and versions, as they belong beside every figure."""
    import torch

    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    packages = {name: version(name) for name in ("torch", "transformers", "av")}
    return {"card": card, "python": platform.python_version(), **packages, "threads": torch.get_num_threads()}
