"""JSON files that carry a digest of their content, so that a changed bit is found and not believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "content_sha256"
"""The key of the digest, at the top of the file."""


def sealed_json(content: Mapping[str, Any]) -> str:
    """The text of a file that holds a JSON object and its digest: keys in a fixed order, equal for equal content."""
    return json.dumps({**content, SEAL: _digest(content)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_sealed_json(text: str) -> dict[str, Any]:
    """The object of a file, whose digest is held against it; a file of an older version has none.

    Raises:
        ValueError: it is no JSON object, or not the one that was written.
    """
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, found {type(content).__name__}")
    stated = content.pop(SEAL, None)
    if stated is not None and stated != _digest(content):
        raise ValueError("its digest does not fit: it was changed after it was written")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
