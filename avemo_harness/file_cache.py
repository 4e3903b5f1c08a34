"""Folders of files that can be made again, kept within bounds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def note_use(path: Path) -> None:
    """Let a file count as used now; a folder that can only be read, and is pruned by others, stays as it is."""
    with suppress(OSError):
        os.utime(path)


def prune_files(paths: Iterable[Path], max_bytes: int) -> int:
    """Delete the files used longest ago until the rest is within bounds; returns how many went.

    What cannot be deleted stays, and takes no more than room.
    """
    files = []
    for path in paths:
        # Another process may be deleting at the same time.
        with suppress(OSError):
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    files.sort()
    excess = sum(size for _, size, _ in files) - max_bytes
    gone = 0
    for _, size, path in files:
        if excess <= 0:
            break
        with suppress(OSError):
            path.unlink(missing_ok=True)
            excess -= size
            gone += 1
    return gone
