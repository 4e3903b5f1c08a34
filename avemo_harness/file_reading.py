"""Files that others made, read whole: regular files alone, no larger than a bound, and no stand-in for the file."""

from __future__ import annotations

import errno
from pathlib import Path

MAX_BYTES = 2**30
"""No file that is read as a whole may be larger."""

_POINTER = b"version https://git-lfs.github.com/spec/"


def read_file(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it cannot be read, is larger than `max_bytes`, or `check_file` refuses it.
    """
    check_file(path)
    with open(path, "rb") as handle:
        # Some files are longer than they say, such as those of /proc.
        data = handle.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"it has more than {max_bytes} bytes")
    return data


def check_file(path: Path) -> None:
    """Refuse what would block its reader, never end, or only stand for a file.

    Raises:
        OSError: it cannot be read, is a pipe, a device or a folder, or is a git-lfs pointer.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, not a file")
    with open(path, "rb") as handle:
        check_content(handle.read(len(_POINTER)))


def check_content(beginning: bytes) -> None:
    """Refuse what git-lfs leaves in a clone in the place of a file.

    Raises:
        OSError: these bytes begin such a pointer.
    """
    if beginning.startswith(_POINTER):
        raise OSError(errno.EINVAL, "it is a git-lfs pointer, not the file: run git lfs pull")
