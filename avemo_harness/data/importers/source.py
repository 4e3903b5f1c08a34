"""Files of a corpus in a folder, an archive, a folder of archives, or a repository of the Hub."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import TracebackType

from avemo_harness.benchmark.archives import Archive, is_archive, open_archive
from avemo_harness.benchmark.release_sources import hub_errors, resolve_commit
from avemo_harness.benchmark.text_tables import Table, decode_text, parse_table
from avemo_harness.data.importers.base import ReadFile
from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.files import MAX_BYTES, check_content, check_file, read_file

_HUB_ADVICE = (
    "check the network, HF_ENDPOINT and whether access was granted, or download the files and name their folder"
)


@dataclass(frozen=True, slots=True)
class HubFiles:
    """The files of a data set at one commit.

    Its methods raise a ReleaseError where the Hub cannot be reached or does not grant access.
    """

    repo: str
    commit: str

    @property
    def location(self) -> str:
        """Name of the repository for messages."""
        return f"{self.repo}@{self.commit[:8]}"

    def names(self) -> list[str]:
        """Every file of the commit, by path."""
        from huggingface_hub import HfApi

        with hub_errors(self.location, _HUB_ADVICE):
            return sorted(HfApi().list_repo_files(self.repo, repo_type="dataset", revision=self.commit))

    def local(self, name: str) -> Path:
        """Fetch a file, unless it is in the Hub's cache."""
        from huggingface_hub import HfApi

        with hub_errors(f"{self.location}: {name}", _HUB_ADVICE):
            return Path(HfApi().hf_hub_download(self.repo, name, repo_type="dataset", revision=self.commit))


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """A folder, or one file."""

    root: Path

    @property
    def location(self) -> str:
        return str(self.root)

    def names(self) -> list[str]:
        """Every file but hidden ones, by path."""
        if self.root.is_file():
            return [self.root.name]
        found = []
        for parent, _, files in os.walk(self.root):
            found += [Path(parent, name).relative_to(self.root).as_posix() for name in files]
        return sorted(found)

    def local(self, name: str) -> Path:
        return self.root if self.root.is_file() else self.root / name


Files = LocalFiles | HubFiles


class Source:
    """The files of a corpus; those inside archives stand under the archive's name as under a folder's.

    A context: archives are let go at its end.

    Args:
        files: what lies there, archives as they are.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self._archives: dict[str, Archive] = {}
        self._closing = ExitStack()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def __str__(self) -> str:
        return self.files.location

    def names(self, wanted: Callable[[str], bool] = lambda archive: True) -> list[str]:
        """Names of files, in the order in which it is cheap to read them one after another.

        Args:
            wanted: which archives to look into; the others are not even fetched.

        Raises:
            ReleaseError: an archive is damaged or cannot be fetched.
        """
        found: list[str] = []
        for name in self._outer:
            if not is_archive(name):
                found.append(name)
            elif wanted(name):
                found += [f"{name}/{member}" for member in self._archive(name).sizes]
        return [name for name in found if not _is_hidden(name)]

    def read(self, name: str) -> bytes:
        """Return a file.

        Raises:
            ReleaseError: an archive is damaged, or the Hub cannot be reached.
            MediaError: the file cannot be read or is too large.
        """
        archive = self._archive_of(name)
        if archive is not None:
            member = name.removeprefix(f"{archive}/")
            self._check_size(name, self._archive(archive).sizes[member])
            data = self._archive(archive).read(member)
            with _unreadable(name):
                check_content(data)
            return data
        path = self.files.local(name)
        with _unreadable(name):
            self._check_size(name, path.stat().st_size)
            return read_file(path, MAX_BYTES)

    def is_local(self, name: str) -> bool:
        """True for a file of a local folder, which can be read again by its name."""
        return isinstance(self.files, LocalFiles) and self._archive_of(name) is None

    def _check_size(self, name: str, size: int) -> None:
        if size > MAX_BYTES:
            raise MediaError(f"{name}: it has {size} bytes, at most {MAX_BYTES} are read; split the file")

    @cached_property
    def _outer(self) -> list[str]:
        return self.files.names()

    def _archive_of(self, name: str) -> str | None:
        parents = [str(parent) for parent in PurePosixPath(name).parents]
        return next((one for one in parents if one in self._archives), None)

    def _archive(self, name: str) -> Archive:
        if name not in self._archives:
            path = self.files.local(name)
            with _unreadable(str(path)):
                check_file(path)
            self._archives[name] = archive = open_archive(path)
            self._closing.callback(archive.close)
        return self._archives[name]


def open_source(location: str, revision: str | None = None) -> Source:
    """Open a folder, an archive, or a Hub id.

    Args:
        revision: branch, tag or commit of the Hub; None means the head of main.

    Raises:
        ReleaseError: there is nothing there, or the Hub cannot be reached.
    """
    path = Path(location).expanduser()
    if path.is_dir() or (path.is_file() and is_archive(path.name)):
        return Source(LocalFiles(path))
    if path.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", location) or location.startswith("."):
        raise ReleaseError(
            f"{location}: expected a folder, an archive (zip, tar, tar.gz) or a Hub id (owner/name); check the path"
        )
    return Source(HubFiles(location, resolve_commit(location, revision)))


def by_stem(names: Iterable[str], *endings: str) -> dict[str, str]:
    """Names by the file's own name without folder and ending; of several with one name the first.

    >>> by_stem(["a/x.wav", "b/x.wav", "y.mp4"], ".wav")
    {'x': 'a/x.wav'}
    """
    found: dict[str, str] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() in endings:
            found.setdefault(path.stem, name)
    return found


@contextmanager
def _unreadable(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MediaError(f"{name}: cannot be read ({error.strerror}); put the file there") from error


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def read_source_table(source: Source, name: str) -> tuple[Table, ReadFile]:
    """Read a table with commas, or whatever else its header has, between its cells, and tell what was read.

    Raises:
        ReleaseError: the file is empty or not a table.
        MediaError: the file cannot be read.
    """
    data = source.read(name)
    return parse_table(Path(name), decode_text(data, name), ","), record_file(name, data)


def record_file(name: str, data: bytes) -> ReadFile:
    """The record of a file that was read."""
    return ReadFile(name, hashlib.sha256(data).hexdigest(), len(data))
