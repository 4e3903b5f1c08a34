"""Processes that tests start, and those that these start."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def is_alive(process: int) -> bool:
    """True while a process runs; one that has ended, and that nobody has asked about yet, does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def children_of(ancestor: int) -> list[int]:
    """The processes that a process started, and those that these started, and so on."""
    started: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            started.setdefault(parent, []).append(int(status.parent.name))
    found = list(started.get(ancestor, ()))
    for process in found:
        found += started.get(process, ())
    return found
