"""The exceptions of avemo-harness: one small tree.

AvemoError
├── UsageError            the caller can fix it; the command exits with 2
│   ├── TaskError         a task YAML is wrong
│   ├── ReleaseError      a release is missing, unreachable or malformed
│   │   └── MissingDataError  what a task is asked of is not here
│   ├── ModelError        an unknown model, or arguments it does not take
│   └── RunConflictError  the run directory holds a run of another configuration
├── StoreError            a run directory is damaged or cannot be written
│   └── StorageError      the system refuses to read or write a file
└── SampleError           belongs to one sample: recorded and counted, the run goes on
    ├── MediaError        a clip cannot be read, decodes short, or exceeds a limit
    ├── GenerationError   a model failed on one request
    │   ├── HistoryError  a history needs a reply that the model did not give
    │   └── MissingAnswerError  answers that were given elsewhere hold none to this item
    ├── RecognitionError  a recogniser or a feature extractor failed on one recording
    └── BuildError        a tool failed on one unit of a release that is being made
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AvemoError(Exception):
    """Base of every exception that the package raises on purpose."""


class UsageError(AvemoError):
    """Something that the caller can fix: arguments, configuration, files."""


class TaskError(UsageError):
    """A task YAML is wrong; the message lists every problem as ``file:line: key: problem``."""


class ReleaseError(UsageError):
    """A release is missing, unreachable or malformed."""


class MissingDataError(ReleaseError):
    """The data that a task is asked of are not here.

    Args:
        message: the sentence, with all ways to it.
        command: the one by which the data come; None where nobody names one.
    """

    def __init__(self, message: str, command: str | None = None) -> None:
        super().__init__(message, command)  # both, so that a worker process can pickle the error
        self.command = command

    def __str__(self) -> str:
        return str(self.args[0])


class ModelError(UsageError):
    """An unknown model, or arguments that the model does not take."""


class RunConflictError(UsageError):
    """The run directory already holds a run of another configuration."""


class StoreError(AvemoError):
    """A run directory is damaged or cannot be written."""


class StorageError(StoreError):
    """The system refuses to read or write a file; the message says what to do about it.

    Args:
        path: the file or folder.
        action: that failed, such as ``written``, ``read`` or ``removed``.
        reason: the system's error.
    """

    def __init__(self, path: Path | str, action: str, reason: OSError) -> None:
        super().__init__(path, action, reason)  # all of them, so that the error can be pickled by a worker process
        self.path = path
        self.action = action
        self.reason = reason

    @property
    def forbidden(self) -> bool:
        """True where permissions or a read-only file system are the reason."""
        return self.reason.errno in (errno.EACCES, errno.EPERM, errno.EROFS)

    @property
    def missing(self) -> bool:
        """True where there is no such file or folder."""
        return self.reason.errno == errno.ENOENT

    def __str__(self) -> str:
        return self.advise("choose another folder")

    def advise(self, elsewhere: str) -> str:
        """The message with advice, of which `elsewhere` is the part on choosing another folder.

        >>> full = OSError(errno.ENOSPC, "No space left on device")
        >>> StorageError("runs/a.json", "written", full).advise("choose another folder with --out")
        'runs/a.json: cannot be written (No space left on device); make room, or choose another folder with --out'
        """
        advice = _ADVICE.get(self.reason.errno or 0, "see whether it is in order, or {elsewhere}")
        why = self.reason.strerror or first_line(self.reason)
        return f"{self.path}: cannot be {self.action} ({why}); {advice.format(elsewhere=elsewhere)}"


@contextmanager
def storage_errors(path: Path | str, action: str) -> Iterator[None]:
    """Raise an OSError of the block as a `StorageError`, whose arguments these are."""
    try:
        yield
    except OSError as error:
        raise StorageError(path, action, error) from error


_FULL = "make room, or {elsewhere}"
_FORBIDDEN = "change its permissions, or {elsewhere}"
_BROKEN = "the disk or the connection to it fails; see the system's log, and {elsewhere}"
_FILES = "allow more open files, with ulimit -n 4096"
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "allow larger files (ulimit -f), or {elsewhere}",
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: "it can only be read; {elsewhere}",
    errno.EIO: _BROKEN,
    errno.ESTALE: _BROKEN,
    errno.ENODEV: _BROKEN,
    errno.ENXIO: _BROKEN,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOENT: "there is no such file or folder; {elsewhere}",
    errno.ENOTDIR: "a file is where a folder should be; {elsewhere}",
    errno.EISDIR: "a folder is where a file should be; move it away, or {elsewhere}",
    errno.ENAMETOOLONG: "the name is too long; {elsewhere}",
}
"""Advice by ``errno``."""


class SampleError(AvemoError):
    """Belongs to one sample: it is recorded and counted, and the run goes on."""


class MediaError(SampleError):
    """A clip cannot be read, decodes short, or exceeds a limit."""


class GenerationError(SampleError):
    """A model failed on one request."""


class HistoryError(GenerationError):
    """A history needs the model's own reply to an earlier turn, and there is none."""


class MissingAnswerError(GenerationError):
    """Answers that were given elsewhere hold none to this item, or several that differ."""


class RecognitionError(SampleError):
    """A recogniser or a feature extractor failed on one recording, or gave what cannot be used."""


class BuildError(SampleError):
    """A tool failed on one unit of a release that is being made, or what it made cannot be used."""


MAX_MESSAGE_LENGTH = 10_000
"""Characters of an error that are kept: a library may print the whole of a tensor or of a page."""


def describe(error: BaseException) -> str:
    """Type and message of an error for the record of an item; a very long one is cut.

    >>> describe(MediaError("clip.mp4: no video"))
    'MediaError: clip.mp4: no video'
    """
    message = message_of(error)
    cut = "…" if len(message) > MAX_MESSAGE_LENGTH else ""
    return f"{type(error).__name__}: {message[:MAX_MESSAGE_LENGTH] or 'no message'}{cut}"


def message_of(error: BaseException) -> str:
    """The text of an error; empty where its class, which may be anybody's, fails to give one."""
    try:
        return str(error)
    except Exception:
        return ""


def first_line(error: BaseException) -> str:
    """The first line of an error, whose text may go on for pages; its type where it has no text."""
    return (message_of(error).strip() or type(error).__name__).splitlines()[0]
