"""Archives (zip, tar) read in place, without unpacking to disk."""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from avemo_harness.errors import ReleaseError, first_line

_BLOCK = 2**16
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods of packing that zipfile unpacks by no more than is asked for; others turn a kilobyte into a gigabyte."""
_UTF8_FLAG = 0x800
ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def is_archive(name: str) -> bool:
    """True for names that end like an archive.

    >>> is_archive("data/train_chunks_0000.tar.gz"), is_archive("a.wav")
    (True, False)
    """
    return name.lower().endswith(ENDINGS)


class ZipArchive:
    """A zip file; ReleaseError where it is damaged or locked. `sizes` are bytes by name, in the archive's order."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def sizes(self) -> dict[str, int]:
        return {name: member.file_size for name, member in self._members.items()}

    def read(self, name: str) -> bytes:
        member = self._members[name]
        if member.compress_type not in _BOUNDED:
            raise ReleaseError(
                f"{self.path}: {name} is packed by method {member.compress_type}; pack it by deflate, the usual one of "
                "zip, or unpack the archive"
            )
        content = io.BytesIO()
        with _damage(self.path), self._opened.open(member) as handle:
            # Asked for all at once, zipfile unpacks far more than the size that the archive states.
            while block := handle.read(_BLOCK):
                content.write(block)
            if content.tell() != member.file_size:
                raise zipfile.BadZipFile(f"{name} has {content.tell()} bytes, its header says {member.file_size}")
        return content.getvalue()

    def close(self) -> None:
        self._opened.close()

    @cached_property
    def _opened(self) -> zipfile.ZipFile:
        with _damage(self.path):
            return zipfile.ZipFile(self.path)

    @cached_property
    def _members(self) -> dict[str, zipfile.ZipInfo]:
        return {_name(one): one for one in self._opened.infolist() if not one.is_dir()}


def _name(member: zipfile.ZipInfo) -> str:
    """A member's name in UTF-8 where it is that, flag or none, with the slashes that some tools of Windows turn."""
    name = member.filename
    if not member.flag_bits & _UTF8_FLAG:
        # Finder leaves the flag out, and zipfile then takes the name for code page 437, which knows all 256 bytes.
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


class TarArchive:
    """As `ZipArchive`, a tar file, compressed or not. One pass over it finds its files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def sizes(self) -> dict[str, int]:
        return {name: member.size for name, member in self._members.items()}

    def read(self, name: str) -> bytes:
        """Return a file; where the tar is compressed, cheap only from one name to a later one."""
        with _damage(self.path):
            handle = self._opened.extractfile(self._members[name])
            assert handle is not None
            return handle.read()

    def close(self) -> None:
        self._opened.close()

    @cached_property
    def _opened(self) -> tarfile.TarFile:
        with _damage(self.path):
            return tarfile.open(self.path, "r:*")

    @cached_property
    def _members(self) -> dict[str, tarfile.TarInfo]:
        with _damage(self.path):
            return {member.name.removeprefix("./"): member for member in self._opened if member.isfile()}


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise ReleaseError(f"{path}: the archive cannot be read ({first_line(error)}); download it again") from error


Archive = ZipArchive | TarArchive


def open_archive(path: Path) -> Archive:
    """Open an archive, told by its name; it is read when something is asked of it."""
    return ZipArchive(path) if path.name.lower().endswith(".zip") else TarArchive(path)
