"""Pictures to animate: a folder, and a table that says whose they are and what may be done with them."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from avemo_harness.build.pipeline.backends import Portrait
from avemo_harness.build.pipeline.config import PortraitConfig
from avemo_harness.errors import UsageError

ENDINGS = (".png", ".jpg", ".jpeg")
_NO_DERIVATIVES = re.compile(r"\bnd\b|no.?deriv|ai-?face", re.IGNORECASE)


def forbids_derivatives(licence: str) -> bool:
    """Whether what is made of a work of that licence may not be passed on.

    >>> [forbids_derivatives(name) for name in ("CC BY-NC-ND 4.0", "CC BY-NC 4.0", "AI-Face EULA", "")]
    [True, False, True, False]
    """
    return bool(_NO_DERIVATIVES.search(licence))


def read_portraits(config: PortraitConfig) -> tuple[Portrait, ...]:
    """The pictures of a folder, by name.

    Raises:
        UsageError: there are none, or the table is malformed or names others.
    """
    folder = Path(config.folder).expanduser()
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not files:
        raise UsageError(f"portraits: {folder} holds no picture ({', '.join(ENDINGS)})")
    told = _table(Path(config.table).expanduser()) if config.table else {}
    names = {path.stem for path in files}
    if unknown := sorted(set(told) - names):
        raise UsageError(f"{config.table}: there is no picture {unknown[0]!r} in {folder}")
    return tuple(_portrait(path, told.get(path.stem, {}), config.licence) for path in files)


def choose_portrait(portraits: Sequence[Portrait], gender: str, seed: Sequence[int]) -> Portrait | None:
    """A picture for somebody, of that gender where there is one; None where there are no pictures."""
    fitting = [one for one in portraits if one.gender == gender] or list(portraits)
    return fitting[np.random.default_rng(list(seed)).integers(len(fitting))] if fitting else None


def _portrait(path: Path, told: Mapping[str, str], licence: str) -> Portrait:
    licence = told.get("licence") or licence
    return Portrait(
        portrait_id=path.stem,
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        gender=told.get("gender", ""),
        licence=licence,
        no_derivatives=forbids_derivatives(licence),
    )


def _table(path: Path) -> dict[str, dict[str, str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.DictReader(handle))
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(f"{path}: the table of portraits cannot be read ({error})") from error
    found: dict[str, dict[str, str]] = {}
    for line, row in enumerate(rows, 2):
        values = {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
        if not values.get("id"):
            raise UsageError(f"{path}:{line}: a row needs the id of a picture: its name without the ending")
        found[values["id"]] = values
    return found
