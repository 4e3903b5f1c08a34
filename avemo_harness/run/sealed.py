"""JSON files that carry a digest of their content, so that a changed bit is found and not believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avemo_harness.paths import read_whole

SEAL = "content_sha256"
"""The key of the digest, at the top of the file."""


def sealed_json(content: Mapping[str, Any]) -> str:
    """The text of a file that holds a JSON object and its digest: keys in a fixed order, equal for equal content."""
    sealed = {**content, SEAL: content_digest(content)}
    return json.dumps(sealed, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_sealed_json(path: Path) -> dict[str, Any]:
    """The object of a file, whose digest is held against it; a file of an older version has none.

    Raises:
        StorageError: the file is missing or cannot be read.
        ValueError: it is no JSON object, or not the one that was written.
    """
    content = json.loads(read_whole(path).decode())
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, found {type(content).__name__}")
    stated = content.pop(SEAL, None)
    if stated is not None and stated != content_digest(content):
        raise ValueError("its digest does not fit: it was changed after it was written")
    return content


def content_digest(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a JSON object, whatever the order of its keys and the spelling of its characters."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
