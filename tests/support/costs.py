"""Costs of calls, to be compared with each other in one run: seconds alone would tell of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable


def cpu_s(call: Callable[[], object], times: int = 3) -> float:
    """CPU seconds of this process, all threads, that a call takes: the least of several times."""
    costs = []
    for _ in range(times):
        started = time.process_time()
        call()
        costs.append(time.process_time() - started)
    return min(costs)
