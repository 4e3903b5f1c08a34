"""Files: folders of the package, atomic writes, locks, typed JSON, bounded reads of foreign files, cache pruning."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from avemo_harness.errors import StorageError, StoreError, UsageError, storage_errors


@contextmanager
def exclusive_lock(path: Path, before_waiting: Callable[[], object]) -> Iterator[None]:
    """Let one process into the block at a time; a process that dies in it lets the next one in.

    Where the file system has no locks, all come in, so what is made must be put into place atomically all the same.

    Args:
        path: of the lock's file, made where it is missing and left there.
        before_waiting: called where another process is in the block.

    Raises:
        StorageError: the folder cannot be written.
    """
    with storage_errors(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = open(path, "w", encoding="ascii")  # noqa: SIM115  (closed below)
    with handle:
        if try_lock_file(handle) is False:
            before_waiting()
            lock_file(handle)
        yield


def lock_file(handle: IO[Any]) -> None:
    """Wait for the lock on an open file, held until the file is closed; no wait where there are no locks."""
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


_UNLOCKED_AGE_S = 600.0
"""Seconds after which a file is not being written any more, where no lock can tell."""
_PART = re.compile(r"\..+\.[0-9a-f]{8,12}\.part(\.flac)?")
"""Names of files that are being written; those of speech had an ending once."""
PARTIAL_FOLDER = "release"
"""Name, inside a hidden one, of a folder that `new_folder` is filling."""
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""Errors of systems that have no hard links, or not that many of one file."""

_JSON_NOUNS: dict[type, str] = {dict: "object", list: "array"}
Json = TypeVar("Json", dict[str, Any], list[Any])


def cache_dir() -> Path:
    """``AVEMO_CACHE``, else ``avemo-harness`` under the user's cache folder. Everything in it can be made again."""
    chosen = os.environ.get("AVEMO_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avemo-harness"


def config_dir() -> Path:
    """``avemo-harness`` under the user's configuration folder (``XDG_CONFIG_HOME``)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "avemo-harness"


def read_choice(name: str) -> str | None:
    """The choice of that name that a `use` command remembered in the configuration folder, if any."""
    file = config_dir() / name
    return (file.read_text(encoding="utf-8").strip() or None) if file.is_file() else None


def remember_choice(name: str, value: str) -> Path:
    """Remember a choice for later commands; returns the file that holds it."""
    file = config_dir() / name
    write_atomically(file, value + "\n")
    return file


def forget_choice(name: str) -> bool:
    """Forget a choice; False where none was remembered (StorageError: its file cannot be removed)."""
    file = config_dir() / name
    if not file.exists():
        return False
    with storage_errors(file, "removed"):
        file.unlink()
    return True


def write_atomically(path: Path, content: str | bytes, mode: int | None = None) -> None:
    """Write a file so that a reader, or a kill at any moment, sees the old content or the new one, never a part.

    Args:
        mode: permissions from the first moment on; None for those of the umask.

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


def write_to_cache(path: Path, data: bytes) -> None:
    """Write a file whole without waiting for the disk: after a crash of the machine it may be cut or empty.

    It is for what can be made again, and whose reader sees by its content that it is whole.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    with storage_errors(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_of(path) as part:
            part.write(data)
            part.flush()
            os.replace(part.name, path)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder whole or not at all: the block fills a hidden one beside it, which then takes its name.

    Raises:
        StorageError: the disk is full or the parent cannot be written; whatever OSError the block raises.
    """
    from tempfile import TemporaryDirectory

    with storage_errors(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True) as hidden:
            # One level below, since only its owner may open what `tempfile` makes.
            folder = Path(hidden) / PARTIAL_FOLDER
            folder.mkdir()
            yield folder
            folder.rename(path)


def require_new_folder(
    path: Path, refusal: str = ": is there already and is not overwritten; name a new folder, or delete it first"
) -> None:
    """Refuse a path where a file is, or a folder that holds something (UsageError: the path and the refusal)."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path}{refusal}")


def read_json(path: Path, kind: type[Json]) -> Json:
    """The value of a JSON file that the package wrote.

    Args:
        kind: dict or list.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON in UTF-8, or its value is of another kind.
    """
    import json

    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, kind):
        raise ValueError(f"expected a JSON {_JSON_NOUNS[kind]}, found {type(value).__name__}")
    return value


def read_whole(path: Path) -> bytes:
    """The bytes of a file that the package wrote (StorageError: it is missing or cannot be read)."""
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
    """Remove the unfinished files of killed writers in a folder and those right below it; returns how many.

    Other processes may be writing there: their locks tell, and where the file system has none, the file's age.
    """
    removed = 0
    for path in (*folder.glob(".*"), *folder.glob("*/.*")):
        if _PART.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with suppress(OSError):  # it only takes room, or its writer has just put it into place
                removed += _remove_abandoned(path)
    return removed


def _locked_part(path: Path, mode: int | None) -> IO[bytes]:
    opener = partial(os.open, mode=0o666 if mode is None else mode)
    while True:
        part = open(  # noqa: SIM115  (closed by the caller)
            path.with_name(f".{path.name}.{os.urandom(6).hex()}.part"), "xb", opener=opener
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


MAX_BYTES = 2**30
"""Default limit of files that are read as a whole."""
_HASH_BLOCK_BYTES = 2**22

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def read_file(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file (OSError: it cannot be read, is larger than `max_bytes`, or `check_file` refuses it)."""
    check_file(path)
    with open(path, "rb") as handle:
        # Some files are longer than they say, such as those of /proc.
        data = handle.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"it has more than {max_bytes} bytes")
    return data


def check_file(path: Path) -> None:
    """Refuse a path that would block its reader, never end, or hold a pointer instead of the file.

    Raises:
        OSError: it cannot be read, is a pipe, a device or a folder, or is a git-lfs pointer.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, not a file")
    with open(path, "rb") as handle:
        check_content(handle.read(len(_LFS_POINTER)))


def check_content(beginning: bytes) -> None:
    """Refuse the pointer that git-lfs leaves in a clone instead of a file (OSError)."""
    if beginning.startswith(_LFS_POINTER):
        raise OSError(errno.EINVAL, "it is a git-lfs pointer, not the file: run git lfs pull")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hex; read block by block, since weights and clips are large."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def mark_as_used(path: Path) -> None:
    """Set a file's time for `prune_files`; nothing where the folder can only be read, and others prune it."""
    with suppress(OSError):
        os.utime(path)


def prune_files(paths: Iterable[Path], max_bytes: int) -> int:
    """Delete the least recently used files until the rest is within bounds; returns how many were deleted."""
    files = []
    for path in paths:
        # Another process may be deleting at the same time.
        with suppress(OSError):
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    files.sort()
    excess = sum(size for _, size, _ in files) - max_bytes
    deleted = 0
    for _, size, path in files:
        if excess <= 0:
            break
        with suppress(OSError):
            path.unlink(missing_ok=True)
            excess -= size
            deleted += 1
    return deleted
