"""A study is its owner's alone: its files hold expected answers, invitations and what people gave."""

from __future__ import annotations

import shlex
from pathlib import Path

from avemo_harness.errors import StorageError
from avemo_harness.paths import write_atomically

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
_OTHERS = 0o077


def make_private_folder(folder: Path) -> None:
    """Make a folder that its owner alone can enter, whatever the umask; one that is there stays as it is.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(PRIVATE_FOLDER)
        folder.chmod(PRIVATE_FOLDER)  # the umask may have taken bits of the owner's
    except FileExistsError:
        pass
    except OSError as error:
        raise StorageError(folder, "made", error) from error


def write_privately(path: Path, content: str) -> None:
    """Write a file of a study atomically; at no moment can others read it.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    make_private_folder(path.parent)
    write_atomically(path, content, mode=PRIVATE_FILE)


def warning_of_openness(folder: Path) -> str | None:
    """A sentence with the remedy where others on this machine may enter a study's folder or read a file in it."""
    if not folder.is_dir():
        return None
    wide = [path.name for path in sorted(folder.iterdir()) if path.is_file() and _is_open(path)]
    if not wide and not _is_open(folder):
        return None
    what = f"read {', '.join(wide)}" if wide else "enter it"
    return (
        f"{folder}: other users of this machine may {what}: a study holds expected answers, invitations and ratings; "
        f"keep it to yourself with: chmod -R go-rwx {shlex.quote(str(folder))}"
    )


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & _OTHERS)
