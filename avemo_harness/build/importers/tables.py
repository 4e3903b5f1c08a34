"""Tables of a corpus, read from wherever it lies."""

from __future__ import annotations

import hashlib
from pathlib import Path

from avemo_harness.build.importers.base import ReadFile
from avemo_harness.build.importers.source import Source
from avemo_harness.recognizers.corpora.encodings import decode_text
from avemo_harness.recognizers.corpora.tables import Table, parse_table


def read(source: Source, name: str) -> tuple[Table, ReadFile]:
    """Read a table with commas, or whatever else its header has, between its cells, and tell what was read.

    Raises:
        ReleaseError: the file is empty or not a table.
        MediaError: the file cannot be read.
    """
    data = source.read(name)
    return parse_table(Path(name), decode_text(data, name), ","), record(name, data)


def record(name: str, data: bytes) -> ReadFile:
    """What is kept of a file that was read."""
    return ReadFile(name, hashlib.sha256(data).hexdigest(), len(data))
