"""Front matter and text of a folder's README.md, without what an earlier push generated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from avemo_harness.errors import ReleaseError

GENERATED = "<!-- avemo-eval data push writes what follows anew each time -->"


@dataclass(frozen=True, slots=True)
class Readme:
    """What a release's ``README.md`` says, without what an earlier push generated."""

    keys: Mapping[str, Any]
    text: str

    @property
    def heading(self) -> str | None:
        """The first heading of the text."""
        found = re.search(r"^# +(.+?) *$", self.text, re.MULTILINE)
        return found[1] if found else None


def read_readme(folder: Path) -> Readme:
    """Read it; empty where there is none.

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
