"""Importing a corpus in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from avemo_harness.data.importers import find_corpus, importer_options
from avemo_harness.data.importers.base import ImportedCorpus
from avemo_harness.data.importers.source import open_source
from avemo_harness.data.importers.writing import ImportSource, ImportTarget, OnDamage, write_import


def import_corpus(
    importer: str,
    place: Path | str,
    out: Path,
    *,
    clips: Literal["inside", "outside"] = "outside",
    on_damage: OnDamage = "refuse",
    **options: Any,
) -> ImportedCorpus:
    """Find the corpus, check its clips and write the release."""
    with open_source(str(place)) as source:
        found = find_corpus(importer, source, importer_options(importer)(**options))
        importing = ImportSource(importer, str(place), None, {})
        return write_import(found, importing, ImportTarget(out, clips, on_damage), lambda sentence: None)


def left_out(imported: ImportedCorpus) -> dict[str, int]:
    """The counts of what was dropped, by reason."""
    return {one.reason: one.count for one in imported.dropped}
