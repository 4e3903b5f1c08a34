"""Processes that tests start, and those that these start."""

from __future__ import annotations

from pathlib import Path


def is_alive(process: int) -> bool:
    """True while a process runs; one that has ended, and that nobody has asked about yet, does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
