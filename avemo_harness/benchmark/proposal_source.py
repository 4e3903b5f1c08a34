"""Look at a table for a proposal: find its split, and read its features and first rows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.columns import DatasetSpec
from avemo_harness.benchmark.release_loader import ReleaseOptions
from avemo_harness.benchmark.table_sources import TableSource, find_table
from avemo_harness.errors import ReleaseError

MAX_ROWS = 10_000
"""Rows that are read for their labels; recordings are read of the first one alone."""
_SPLITS = ("test", "validation", "train")
"""Splits to ask about, the likeliest first."""


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A table as it was looked at.

    Args:
        dataset: how a task names it, without columns.
        features: as `datasets` writes them; empty where nothing states them.
        rows: the first `MAX_ROWS`.
        whole: the table has no more.
    """

    dataset: DatasetSpec
    features: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]
    whole: bool


def look_at(path: str, name: str | None, split: str | None, revision: str | None) -> LookedAt:
    """Read the first rows of a table.

    Args:
        path: Hub id, file or folder.
        name: config; by default the only one, or `default`.
        split: by default the first of test, validation and train that there is.

    Raises:
        ReleaseError: there is no such table, or it has no rows.
    """
    facts: dict[str, Any] = {"path": path, **({"name": name} if name else {}), "revision": revision}
    dataset, source = _find(facts, [split] if split else _SPLITS)
    rows = tuple(row.values for row in islice(source.rows(), MAX_ROWS + 1))
    if not rows:
        raise ReleaseError(f"{path}: split {dataset.split!r} holds no row")
    if source.commit is not None:
        dataset = dataset.model_copy(update={"revision": source.commit})
    return LookedAt(dataset, source.features or {}, rows[:MAX_ROWS], len(rows) <= MAX_ROWS)


def _find(facts: Mapping[str, Any], splits: tuple[str, ...] | list[str]) -> tuple[DatasetSpec, TableSource]:
    """The first split that there is, with its files."""
    refused: ReleaseError | None = None
    for split in splits:
        dataset = DatasetSpec.model_validate({"columns": {}, "split": split, **facts})
        try:
            return dataset, find_table(dataset, ReleaseOptions(revision=dataset.revision, streaming=True))
        except ReleaseError as error:
            refused = refused or error
    assert refused is not None
    raise refused


def path_from(folder: Path, path: str) -> str:
    """A local path as a file in `folder` names it: relative where it lies below, else absolute; a Hub id as it is."""
    local = Path(path).expanduser()
    if not local.exists():
        return path
    absolute = Path(os.path.abspath(local))
    base = Path(os.path.abspath(folder))
    return absolute.relative_to(base).as_posix() if absolute.is_relative_to(base) else str(absolute)
