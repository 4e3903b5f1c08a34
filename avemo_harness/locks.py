"""What several processes need and one should make while the others wait."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from avemo_harness.errors import storage_errors


@contextmanager
def one_at_a_time(path: Path, before_waiting: Callable[[], object]) -> Iterator[None]:
    """Let one process into the block at a time; a process that dies in it lets the next one in.

    Where the file system has no locks, all come in, so what is made must be put into place atomically all the same.

    Args:
        path: of the lock's file, made where it is missing and left there.
        before_waiting: called when another process is in the block.

    Raises:
        StorageError: the folder cannot be written.
    """
    with _opened(path) as handle:
        if try_lock_file(handle) is False:
            before_waiting()
            lock_file(handle)
        yield


def lock_file(handle: IO[Any]) -> None:
    """Wait for the lock on an open file, which is kept until the file is closed; no wait where there are no locks."""
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)


def try_lock_file(handle: IO[Any]) -> bool | None:
    """Lock an open file unless another process has: True, or False; None where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _opened(path: Path) -> IO[str]:
    with storage_errors(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "w", encoding="ascii")
