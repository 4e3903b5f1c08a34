"""Recordings that a table holds or names: bytes, paths, files inside archives; known by their content."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.metadata import version
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

from avemo_harness.benchmark.archives import Archive, open_archive
from avemo_harness.benchmark.release import Clip, Stream
from avemo_harness.benchmark.release_sources import fetch_once
from avemo_harness.benchmark.text_tables import path_spellings
from avemo_harness.errors import MediaError, ReleaseError, first_line
from avemo_harness.files import read_file, write_atomically
from avemo_harness.text import Notify

SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac")
VIDEOS = (".mp4", ".m4v", ".mov", ".flv", ".avi", ".mkv", ".webm")
MEDIA = (*SOUNDS, *VIDEOS)
"""Endings of recordings."""
_MEMBER = "::"
"""Between an archive and the file in it, as in `clips.zip::a.wav`."""
_ANNOUNCE_ABOVE = 200
"""Recordings above which reading them all takes long enough to be announced."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Bytes that a table's file holds, read when asked for.

    Args:
        key: names the bytes: the same key never stands for others.
        read: gives them; None where there are none.
    """

    key: str
    read: Callable[[], bytes | None] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Recording:
    """A file with sound or picture, not read yet.

    Args:
        key: as in `Embedded`.
        fetch: gives the bytes (MediaError: they cannot be had).
    """

    key: str
    fetch: Callable[[], bytes] = field(compare=False, repr=False)


class WrongCellError(Exception):
    """A cell holds something else than its column should."""


class UnreadClip(Clip):
    """A clip whose digest is found when it is first asked for, so that a thousand of them cost nothing.

    Args:
        name: how errors call it.
        fetch: gives the bytes; called again at every reading.
    """

    __slots__ = ("_known",)
    _known: list[str]

    def __init__(self, name: str, fetch: Callable[[], bytes], streams: frozenset[Stream] | None = None) -> None:
        for key, value in (("name", name), ("fetch", fetch), ("streams", streams), ("_known", [])):
            object.__setattr__(self, key, value)

    @property
    def sha256(self) -> str:
        if not self._known:
            self._known.append(hashlib.sha256(self.fetch()).hexdigest())
        return self._known[0]


@dataclass(frozen=True, slots=True)
class MediaFolder:
    """The folder under which recordings lie that a table names by path.

    Args:
        corpus: the user's folder that has this one; paths that lead to nothing from `root` begin there.
    """

    root: Path
    corpus: Path | None = None

    def find(self, name: str) -> Path | None:
        """The file of that name, however its accents and slashes are spelled; None where there is none.

        A name without the ending of a recording stands for the file with one, a video before a sound.

        Raises:
            MediaError: it would lie outside the folder, or no file can have that name.
        """
        bounds = (self.corpus or self.root).resolve()
        beginnings = dict.fromkeys((self.root.resolve(), bounds))
        endings = ("",) if name.lower().endswith(MEDIA) else ("", *VIDEOS, *SOUNDS)
        spellings = [spelling + ending for ending in endings for spelling in path_spellings(name)]
        for root, spelling in product(beginnings, spellings):
            try:
                path = (root / spelling).resolve()
                found = path.is_file()
            except (ValueError, RuntimeError, OSError) as error:
                raise MediaError(f"{name[:200]!r} is no path of a recording ({error})") from error
            if not path.is_relative_to(bounds):
                raise MediaError(
                    f"{name}: a recording's path must stay inside {bounds}; give its folder as --media_root"
                )
            if found:
                return path
        return None

    def missing(self, name: str) -> str:
        """An error's text where there is no file of that name: at the beginning under which most of its folders are."""
        paths = [beginning / name for beginning in (self.root, self.corpus or self.root)]
        path = min(paths, key=lambda path: sum(not folder.is_dir() for folder in path.parents))
        return f"{path}: there is no such recording; give the folder of the recordings as --media_root"

    def key(self, path: Path) -> str:
        return file_key(path)


@dataclass(frozen=True, slots=True)
class HubFolder:
    """The same of a data set on the Hub at a commit; files are fetched when they are asked for."""

    repo: str
    commit: str

    def find(self, name: str) -> Path | None:
        """As `MediaFolder.find`; MediaError also where the Hub does not give it."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import EntryNotFoundError

        name = name.removeprefix(f"hf://datasets/{self.repo}@{self.commit}/")
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise MediaError(f"{name}: a recording's path must stay inside {self.repo}")
        for spelling in path_spellings(name):
            try:
                return Path(HfApi().hf_hub_download(self.repo, spelling, repo_type="dataset", revision=self.commit))
            except EntryNotFoundError:
                continue
            # Other errors of the Hub's client, and of the HTTP client beneath it, have no base of their own.
            except Exception as error:
                raise MediaError(f"{self.repo}: {name} cannot be had from the Hub ({first_line(error)})") from error
        return None

    def missing(self, name: str) -> str:
        return (
            f"{self.repo}@{self.commit[:8]} has no file {name!r}; where its recordings lie elsewhere, give their "
            "folder as --media_root"
        )

    def key(self, path: Path) -> str:
        # Of the Hub's cache, whose files are named by their content.
        return f"{self.repo}|{path.resolve().name}"


def file_key(path: Path) -> str:
    """Key of a file as it is now."""
    facts = path.stat()
    return f"{path.resolve()}|{facts.st_size}|{facts.st_mtime_ns}"


@dataclass(frozen=True)
class MediaReader:
    """Finds the recordings that the cells of a table hold or name.

    Args:
        folder: where paths lead; None where there is no such folder.
    """

    folder: MediaFolder | HubFolder

    def recording(self, value: Any) -> Recording | None:
        """The recording of a cell; None where it is empty.

        Raises:
            WrongCellError: the cell can be no recording, or holds several.
        """
        if value is None or value == "" or value == []:
            return None
        if isinstance(value, list | tuple):
            if len(value) > 1:
                raise WrongCellError(f"must hold one recording, found {len(value)}")
            return self.recording(value[0])
        if isinstance(value, Embedded):
            return Recording(value.key, partial(_embedded, value))
        if isinstance(value, bytes):
            return Recording(hashlib.sha256(value).hexdigest(), lambda: value)
        if isinstance(value, str):
            return self._named(value)
        if isinstance(value, Mapping) and ("bytes" in value or "path" in value):
            return self._of_record(value.get("bytes"), value.get("path"))
        raise WrongCellError(f"must hold a recording (bytes, a path, or both in a record), found {kind_of(value)}")

    def _of_record(self, data: Any, path: Any) -> Recording | None:
        if isinstance(data, Embedded) and path:
            # Whether the file holds bytes is not known before they are read.
            return Recording(data.key, partial(self._embedded_or_named, data, str(path)))
        return self.recording(path if data is None else data)

    def _embedded_or_named(self, data: Embedded, path: str) -> bytes:
        found = data.read()
        return self._named(path).fetch() if found is None else found

    def _named(self, name: str) -> Recording:
        if "://" in name and not name.startswith("hf://"):
            raise WrongCellError(f"names {name[:80]!r}, an address; download the files and name their paths")
        archive, _, member = name.partition(_MEMBER)
        try:
            path = self.folder.find(archive)
        except MediaError as error:
            return Recording(f"refused {name}", partial(_raise, str(error)))
        if path is None:
            return Recording(f"missing {name}", partial(_raise, self.folder.missing(archive)))
        key = self.folder.key(path)
        if member:
            return Recording(f"{key}|{member}", partial(_opened(path, key).read, member))
        return Recording(key, partial(_whole, path))


def _raise(message: str) -> bytes:
    raise MediaError(message)


def _embedded(value: Embedded) -> bytes:
    data = value.read()
    if data is None:
        raise MediaError("the table holds neither the recording's bytes nor its path")
    return data


def _whole(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror}); restore it") from error


class SharedArchive:
    """An archive that several threads read from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._archive: Archive = open_archive(path)

    def names(self) -> list[str]:
        """The files in it, in its order (ReleaseError: it is damaged)."""
        with self._lock:
            return list(self._archive.sizes)

    def read(self, name: str) -> bytes:
        """The bytes of a file in it (MediaError: there is none, or the archive is damaged)."""
        try:
            with self._lock:
                known = self._archive.sizes
                if name not in known:
                    raise MediaError(f"{self.path}: there is no {name!r} in the archive")
                return self._archive.read(name)
        except ReleaseError as error:
            raise MediaError(str(error)) from error


@cache
def _opened(path: Path, key: str) -> SharedArchive:
    return SharedArchive(path)


def kind_of(value: Any) -> str:
    """A value's kind, in words.

    >>> kind_of([1]), kind_of(True), kind_of(None)
    ('a list', 'true or false', 'nothing')
    """
    kinds: dict[type, str] = {
        bool: "true or false",
        str: "text",
        int: "a number",
        float: "a number",
        list: "a list",
        tuple: "a list",
        dict: "a record",
        bytes: "bytes",
        Embedded: "bytes",
        type(None): "nothing",
    }
    return kinds.get(type(value), type(value).__name__)


@dataclass
class ClipMaker:
    """Makes clips of recordings, whose digests are kept on disk by their keys.

    Args:
        kept: the file that keeps digests.
        lazy: digests are found when they are asked for.
        spool: folder that keeps what had to be fetched from the Hub by ranges; None where nothing is.
        say: takes a sentence for the user before something slow.
    """

    kept: Path
    lazy: bool
    spool: Path | None
    say: Notify
    total: int = 0
    unreadable: list[str] = field(default_factory=list)
    _fresh: int = 0

    def __post_init__(self) -> None:
        self._known = _read_digests(self.kept)

    def turn(self, sound: Recording | None, video: Recording | None, name: str) -> Clip | None:
        """The clip of a turn: the video with its own sound or that of another file, or a sound without a picture."""
        if video is not None:
            return self.clip(video if sound is None else _joined(video, sound), name)
        return None if sound is None else self.clip(_without_picture(sound), name)

    def clip(self, recording: Recording, name: str) -> Clip:
        """A recording as it is. One that cannot be read is a clip whose reading fails: the error of what shows it."""
        if self.spool is not None:
            digest_of_key = hashlib.sha256(recording.key.encode()).hexdigest()
            kept = self.spool / digest_of_key[:2] / digest_of_key
            recording = replace(recording, fetch=partial(fetch_once, kept, recording.fetch))
        fetch = partial(_named_fetch, recording, name)
        if self.lazy:
            return UnreadClip(name, fetch)
        self.total += 1
        digest = self._known.get(recording.key)
        if digest is None:
            self._fresh += 1
            if self._fresh == _ANNOUNCE_ABOVE:
                self.say("reading all recordings of the table, once")
            try:
                digest = hashlib.sha256(fetch()).hexdigest()
            except MediaError as error:
                self.unreadable.append(str(error))
                return Clip(hashlib.sha256(f"unreadable {name}".encode()).hexdigest(), name, fetch)
            self._known[recording.key] = digest
        return Clip(digest, name, fetch)

    def keep(self) -> None:
        """Keep the digests that were found (StorageError: the folder cannot be written)."""
        if self._fresh:
            write_atomically(self.kept, json.dumps(self._known) + "\n")


def _read_digests(file: Path) -> dict[str, str]:
    """Digests that are kept; none where the file is missing or damaged, since they can be found again."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _named_fetch(recording: Recording, name: str) -> bytes:
    try:
        return recording.fetch()
    except MediaError as error:
        raise MediaError(f"{name}: {error}") from error


def _joined(video: Recording, sound: Recording) -> Recording:
    def fetch() -> bytes:
        from avemo_harness.benchmark.conditions import joined

        return joined(video.fetch(), sound.fetch())

    return Recording(f"joined by {_av_version()}|{video.key}|{sound.key}", fetch)


def _without_picture(sound: Recording) -> Recording:
    def fetch() -> bytes:
        data = sound.fetch()
        if not _may_hold_picture(data):
            return data
        from avemo_harness.benchmark.conditions import sound_alone

        return sound_alone(data)

    return Recording(f"sound by {_av_version()}|{sound.key}", fetch)


def _may_hold_picture(data: bytes) -> bool:
    """True for containers of videos; other files are sounds, or nothing that can be read."""
    return (
        data[4:8] == b"ftyp"
        or data.startswith((b"\x1aE\xdf\xa3", b"FLV\x01"))
        or (data[:4] == b"RIFF" and data[8:12] == b"AVI ")
    )


@cache
def _av_version() -> str:
    return version("av")
