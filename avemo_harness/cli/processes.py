"""Which of the processes that share a run this one is, where a launcher such as `accelerate launch` started several."""

from __future__ import annotations

import os


def rank() -> int:
    """The launcher's number of this process (``RANK``); 0 for the main one, and for one that was started alone."""
    number = os.environ.get("RANK", "")
    return int(number) if number.isdecimal() else 0
