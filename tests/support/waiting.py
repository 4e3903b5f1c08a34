"""Waiting for what another process or thread does, for as long as a machine under load may take."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 300.0
"""Seconds that tests allow for anything that is sure to come: never a statement about how fast it is."""
ASLEEP_S = 3 * PATIENCE_S
"""Seconds that a process sleeps that a test has to end: longer than any test would wait for it."""
_LOOK_S = 0.01


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Return when the condition holds.

    Args:
        what: names the condition in the failure.

    Raises:
        AssertionError: it does not hold after `PATIENCE_S`.
    """
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(_LOOK_S)


async def pass_over(seconds: float) -> None:
    """Sleep for no time, in place of ``asyncio.sleep``."""
