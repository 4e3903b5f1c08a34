"""Importing a corpus in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from avemo_harness.data.importers import find_corpus, importer_options
from avemo_harness.data.importers.base import ImportedCorpus
from avemo_harness.data.importers.source import open_source
from avemo_harness.data.importers.writing import ImportSettings, OnDamage, write_import


def import_corpus(
    importer: str,
    location: Path | str,
    out: Path,
    *,
    clips: Literal["inside", "outside"] = "outside",
    on_damage: OnDamage = "refuse",
    **options: Any,
) -> ImportedCorpus:
    """Find the corpus, check its clips and write the release."""
    with open_source(str(location)) as source:
        found = find_corpus(importer, source, importer_options(importer)(**options))
        settings = ImportSettings(importer, str(location), None, {}, clips, on_damage)
        return write_import(found, out, settings, lambda sentence: None)


def left_out(imported: ImportedCorpus) -> dict[str, int]:
    """The counts of what was dropped, by reason."""
    return {one.reason: one.count for one in imported.found.dropped}
