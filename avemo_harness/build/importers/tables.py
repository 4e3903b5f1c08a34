"""Tables of a corpus, read from wherever it lies."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from avemo_harness.build.importers.base import ReadFile
from avemo_harness.build.importers.source import Source
from avemo_harness.recognizers.corpora.tables import Table, parse_table

_C1 = re.compile("[\x80-\x9f]")


def read(source: Source, name: str) -> tuple[Table, ReadFile]:
    """Read a table with commas between its cells, and tell what was read.

    Raises:
        ReleaseError: the file is empty or not a table.
        MediaError: the file cannot be read.
    """
    data = source.read(name)
    return parse_table(Path(name), decoded(data), ","), record(name, data)


def record(name: str, data: bytes) -> ReadFile:
    """What is kept of a file that was read."""
    return ReadFile(name, hashlib.sha256(data).hexdigest(), len(data))


def decoded(data: bytes) -> str:
    """Text in UTF-8 or else in Windows' code page 1252, also where somebody took one for the other on the way.

    >>> decoded("it’s".encode()), decoded("it’s".encode("cp1252")), decoded("it\\x92s".encode())
    ('it’s', 'it’s', 'it’s')
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    # Control characters of that range do not occur in text: they are bytes of 1252 that were read as Latin-1.
    return _C1.sub(lambda found: found[0].encode("latin-1").decode("cp1252", errors="replace"), text)
