"""Summaries of YAMLs for lists of tasks: kept by content of the shipped ones, so that listing parses none of them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

INDEX = Path(__file__).parent.parent / "tasks" / "index.json"
"""Made by ``python tests/support/renew_tasks.py``: by the digest of a shipped file, what `summary` gives for it."""
_LARGEST = 32 * 1024
_TEXTS = ("task", "group", "title", "condition")


def summary(values: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a YAML that say what it defines: texts, the groups of a collection, and whether it has columns."""
    found: dict[str, Any] = {key: values[key] for key in _TEXTS if isinstance(values.get(key), str)}
    if isinstance(values.get("groups"), list):
        found["groups"] = [str(name) for name in values["groups"]]
    return {**found, **({"columns": []} if "columns" in values else {})}


def read_summary(file: Path) -> Mapping[str, Any]:
    """The summary of a YAML (TaskError: it cannot be read, or is no valid YAML)."""
    known = None
    # What is too large or no file at all is read below, which says so.
    with suppress(OSError):
        found = os.stat(file)
        if stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST:
            known = _index().get(file_digest(file.read_bytes()))
    if known is not None:
        return known
    from avemo_harness.benchmark.yaml_file import read_yaml

    return summary(read_yaml(file).values)


def file_digest(content: bytes) -> str:
    """Digest of a file by which the index knows it, whatever its line endings."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()[:24]


@cache
def _index() -> dict[str, dict[str, Any]]:
    if not INDEX.is_file():
        return {}
    index: dict[str, dict[str, Any]] = json.loads(INDEX.read_text(encoding="utf-8"))
    return index
