"""Files beside the rows of a release: records of how it was made, and its README.md."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from avemo_harness.errors import ReleaseError
from avemo_harness.text import publishable

BUILD_RECORD, PROVENANCE, IMPORT_RECORD, CHECKS_RECORD = "build.json", "provenance.jsonl", "import.json", "checks.json"
RECORD_NAMES = (BUILD_RECORD, PROVENANCE, IMPORT_RECORD, CHECKS_RECORD)
GENERATED = "<!-- avemo-eval data push writes what follows anew each time -->"
"""Line of a README.md after which a push replaces the text."""

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Records:
    """Records of how a release was made; empty where there is no such file.

    Args:
        build: of `data build`: configuration, tools, libraries.
        provenance: of `data build`: where each clip comes from.
        imported: of `data import`: corpus, licence, label map, what was left out.
        checks: of `data check`.
    """

    build: JsonObject
    provenance: tuple[JsonObject, ...]
    imported: JsonObject
    checks: JsonObject

    def published(self) -> dict[str, bytes]:
        """The files to be published by name: without folders of the machine that made them, and without secrets."""
        whole = {BUILD_RECORD: self.build, IMPORT_RECORD: self.imported, CHECKS_RECORD: self.checks}
        files = {name: _dump_indented(publishable(values)) for name, values in whole.items() if values}
        if self.provenance:
            lines = (json.dumps(publishable(line), sort_keys=True) + "\n" for line in self.provenance)
            files[PROVENANCE] = "".join(lines).encode()
        return files


def read_records(folder: Path) -> Records:
    """Read the records of a release.

    Raises:
        ReleaseError: one of them is damaged.
    """
    lines = _text(folder / PROVENANCE).splitlines()
    return Records(
        build=_read_object(folder / BUILD_RECORD),
        provenance=tuple(_parse_object(line, f"{folder / PROVENANCE}:{n}") for n, line in enumerate(lines, 1)),
        imported=_read_object(folder / IMPORT_RECORD),
        checks=_read_object(folder / CHECKS_RECORD),
    )


def _dump_indented(values: Any) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{file}: cannot be read ({error}); restore it, or make the release again") from error


def _read_object(file: Path) -> JsonObject:
    return _parse_object(_text(file), str(file)) if file.is_file() else {}


def _parse_object(text: str, where: str) -> JsonObject:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ReleaseError(f"{where}: not JSON ({error}); restore it, or make the release again") from error
    if not isinstance(values, dict):
        raise ReleaseError(f"{where}: expected a record; restore it, or make the release again")
    return values


@dataclass(frozen=True, slots=True)
class Readme:
    """Front matter and text of a release's ``README.md``, without what an earlier push generated."""

    keys: Mapping[str, Any]
    text: str

    @property
    def heading(self) -> str | None:
        """The first heading of the text."""
        found = re.search(r"^# +(.+?) *$", self.text, re.MULTILINE)
        return found[1] if found else None


def read_readme(folder: Path) -> Readme:
    """Read the ``README.md`` of a release; empty where there is none.

    Raises:
        ReleaseError: its front matter is not YAML with keys.
    """
    file = folder / "README.md"
    if not file.is_file():
        return Readme({}, "")
    whole = file.read_text(encoding="utf-8", errors="replace")
    front = re.match(r"---\n(.*?)^---\n?", whole, re.DOTALL | re.MULTILINE)
    try:
        keys = yaml.safe_load(front[1]) if front else {}
    except (yaml.YAMLError, RecursionError) as error:
        raise ReleaseError(f"{file}: its front matter is not YAML; repair it") from error
    if not isinstance(keys or {}, dict):
        raise ReleaseError(f"{file}: its front matter must hold keys; repair it")
    text = whole[front.end() :] if front else whole
    return Readme(keys or {}, text.partition(GENERATED)[0].strip())
