"""Pictures to animate: a folder, and a table that says whose they are and what may be done with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avemo_harness.build.licences import forbids_derivatives
from avemo_harness.build.pipeline.backends import Portrait
from avemo_harness.build.pipeline.config import PortraitConfig
from avemo_harness.errors import UsageError
from avemo_harness.names import hint
from avemo_harness.recognizers.corpora.tables import read_table

ENDINGS = (".png", ".jpg", ".jpeg")
_COLUMNS = ("id", "gender", "licence", "license")
_GENDERS = {"": "", "m": "male", "male": "male", "f": "female", "female": "female"}


@dataclass(frozen=True, slots=True)
class _Told:
    """What the table tells of a picture; empty where it tells nothing."""

    gender: str = ""
    licence: str = ""


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
    return tuple(_portrait(path, told.get(path.stem, _Told()), config.licence) for path in files)


def choose_portrait(portraits: Sequence[Portrait], gender: str, seed: Sequence[int]) -> Portrait | None:
    """A picture for somebody, of that gender where there is one; None where there are no pictures."""
    fitting = [one for one in portraits if one.gender == gender] or list(portraits)
    return fitting[np.random.default_rng(list(seed)).integers(len(fitting))] if fitting else None


def _portrait(path: Path, told: _Told, licence: str) -> Portrait:
    licence = told.licence or licence
    return Portrait(
        portrait_id=path.stem,
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        gender=told.gender,
        licence=licence,
        no_derivatives=forbids_derivatives(licence),
    )


def _table(path: Path) -> Mapping[str, _Told]:
    table = read_table(path, ",")
    table.find("id")
    if unknown := [name for name in table.columns if name not in _COLUMNS]:
        raise UsageError(f"{path}:1: unknown column {unknown[0]!r}{hint(unknown[0], _COLUMNS)}; rename or delete it")
    if {"licence", "license"} <= set(table.columns):
        raise UsageError(f"{path}:1: there are columns 'licence' and 'license'; keep one of them")
    found: dict[str, _Told] = {}
    for row in table.rows:
        name, gender = table.text(row, "id"), table.text(row, "gender")
        if not name:
            raise UsageError(f"{path}:{row.line}: a row needs the id of a picture: its name without the ending")
        if name in found:
            raise UsageError(f"{path}:{row.line}: {name!r} is there twice; keep one row for a picture")
        if gender.lower() not in _GENDERS:
            raise UsageError(f"{path}:{row.line}: expected the gender male or female, found {gender!r}; correct it")
        licence = table.text(row, "licence") or table.text(row, "license")
        found[name] = _Told(_GENDERS[gender.lower()], licence)
    return found
