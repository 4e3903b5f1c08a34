"""Where the package keeps what it makes: the cache and the user's remembered settings."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """``AVEMO_CACHE``, else ``avemo-harness`` under the user's cache folder. Everything in it can be made again."""
    chosen = os.environ.get("AVEMO_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avemo-harness"


def config_dir() -> Path:
    """``avemo-harness`` under the user's configuration folder (``XDG_CONFIG_HOME``)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "avemo-harness"


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a kill at any moment, sees the old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partly = path.with_name(f".{path.name}.{os.getpid()}.part")
    with open(partly, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    partly.replace(path)
