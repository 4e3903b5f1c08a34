"""The records that builders, importers and checks leave beside a release, and what of them may be published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avemo_harness.build.checks.base import RECORD as CHECKS
from avemo_harness.build.importers.writing import RECORD as IMPORT
from avemo_harness.build.pipeline.package import PROVENANCE
from avemo_harness.build.pipeline.package import RECORD as BUILD
from avemo_harness.errors import ReleaseError
from avemo_harness.publishing import publishable

NAMES = (BUILD, PROVENANCE, IMPORT, CHECKS)
"""Every record that there may be."""

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Records:
    """What is known of how a release was made; empty where there is no such record.

    Args:
        build: of `data build`: configuration, tools, libraries.
        provenance: of `data build`: where each clip comes from.
        imported: of `data import`: corpus, licence, label map, what was left out.
        checks: of `data check`.
    """

    build: Values
    provenance: tuple[Values, ...]
    imported: Values
    checks: Values

    def published(self) -> dict[str, bytes]:
        """The files to be published by name: without folders of the machine that made them, and without secrets."""
        whole = {BUILD: self.build, IMPORT: self.imported, CHECKS: self.checks}
        files = {name: _indented(publishable(values)) for name, values in whole.items() if values}
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
        build=_values(folder / BUILD),
        provenance=tuple(_parsed(line, f"{folder / PROVENANCE}:{n}") for n, line in enumerate(lines, 1)),
        imported=_values(folder / IMPORT),
        checks=_values(folder / CHECKS),
    )


def _indented(values: Any) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{file}: cannot be read ({error}); restore it, or make the release again") from error


def _values(file: Path) -> Values:
    return _parsed(_text(file), str(file)) if file.is_file() else {}


def _parsed(text: str, where: str) -> Values:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ReleaseError(f"{where}: not JSON ({error}); restore it, or make the release again") from error
    if not isinstance(values, dict):
        raise ReleaseError(f"{where}: expected a record; restore it, or make the release again")
    return values
