"""Where the package keeps what it makes: the cache and the user's remembered settings."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from functools import partial
from pathlib import Path

from avemo_harness.errors import StorageError


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
    partly = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partly, "xb", opener=partial(os.open, mode=0o666 if mode is None else mode)) as handle:
            if mode is not None:
                os.fchmod(handle.fileno(), mode)  # the umask may have taken bits of it
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        partly.replace(path)
    except OSError as error:
        with suppress(OSError):  # the first error is the one to tell
            partly.unlink(missing_ok=True)
        raise StorageError(path, "written", error) from error
