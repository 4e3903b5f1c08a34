"""Where the package keeps what it makes, and how a file is written whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

from avemo_harness.errors import StorageError, StoreError, storage_errors
from avemo_harness.locks import lock_file, try_lock_file

_UNLOCKED_AGE_S = 600.0
"""Seconds after which a file is not being written any more, where no lock can tell."""
_PART = re.compile(r"\..+\.[0-9a-f]{8,12}\.part(\.flac)?")
"""Names of files that are being written; those of speech had an ending once."""
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""Errors of systems that have no hard links, or not that many of one file."""


def cache_dir() -> Path:
    """``AVEMO_CACHE``, else ``avemo-harness`` under the user's cache folder. Everything in it can be made again."""
    chosen = os.environ.get("AVEMO_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avemo-harness"


def config_dir() -> Path:
    """``avemo-harness`` under the user's configuration folder (``XDG_CONFIG_HOME``)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "avemo-harness"


def write_atomically(path: Path, content: str | bytes, mode: int | None = None) -> None:
    """Write a file so that a reader, or a kill at any moment, sees the old content or the new one, never a part.

    Args:
        mode: permissions that the file has from the first moment; those of the umask where none are given.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    with storage_errors(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_of(path, mode) as part:
            part.write(data)
            part.flush()
            os.fsync(part.fileno())
            os.replace(part.name, path)


def read_whole(path: Path) -> bytes:
    """The bytes of a file that the package wrote.

    Raises:
        StorageError: it is missing or cannot be read.
    """
    with storage_errors(path, "read"):
        return path.read_bytes()


def link_new(path: Path, name: Path) -> bool:
    """Give a file a second name, which is atomic; False where the name is taken.

    Raises:
        StoreError: the file system has no hard links.
        StorageError: the folder cannot be written.
    """
    try:
        os.link(path, name)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise StoreError(
                f"{name.parent}: cannot make a hard link ({error.strerror}); put the run on a file system that has "
                "them with --output_path"
            ) from error
        raise StorageError(name, "written", error) from error
    return True


@contextmanager
def part_of(path: Path, mode: int | None = None) -> Iterator[IO[bytes]]:
    """Open a new file beside `path` that is to take its place; it is removed where the block fails.

    The writer's lock on it tells `remove_leftovers` that it is being written.
    """
    with _locked_part(path, mode) as part:
        try:
            yield part
        except BaseException:
            with suppress(OSError):  # the first error is the one to tell
                os.unlink(part.name)
            raise


def remove_leftovers(folder: Path) -> int:
    """Remove what killed writers left of files in a folder, or in one right below it; returns how many went.

    Other processes may be writing there: their locks tell, and where the file system has none, the file's age.
    """
    gone = 0
    for path in (*folder.glob(".*"), *folder.glob("*/.*")):
        if _PART.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with suppress(OSError):  # it only takes room, or its writer has just put it into place
                gone += _remove_abandoned(path)
    return gone


def _locked_part(path: Path, mode: int | None) -> IO[bytes]:
    opener = partial(os.open, mode=0o666 if mode is None else mode)
    while True:
        part = open(  # noqa: SIM115  (closed by the caller)
            path.with_name(f".{path.name}.{secrets.token_hex(6)}.part"), "xb", opener=opener
        )
        if mode is not None:
            os.fchmod(part.fileno(), mode)  # the umask may have taken bits of it
        lock_file(part)
        if os.fstat(part.fileno()).st_nlink:
            return part
        part.close()  # removed as a leftover before it was locked


def _remove_abandoned(path: Path) -> bool:
    with open(path, "rb") as part:
        abandoned = try_lock_file(part)
        if abandoned is None:
            abandoned = time.time() - os.fstat(part.fileno()).st_mtime > _UNLOCKED_AGE_S
        if abandoned:
            path.unlink()
    return abandoned
