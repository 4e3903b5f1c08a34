"""Importing a corpus in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from avemo_harness.build.importers import find_corpus, importer_options
from avemo_harness.build.importers.base import Imported
from avemo_harness.build.importers.checking import OnDamage
from avemo_harness.build.importers.source import open_source
from avemo_harness.build.importers.writing import Importing, Target, write_import


def import_corpus(
    importer: str,
    place: Path | str,
    out: Path,
    *,
    clips: Literal["inside", "outside"] = "outside",
    on_damage: OnDamage = "refuse",
    **options: Any,
) -> Imported:
    """Find the corpus, check its clips and write the release."""
    with open_source(str(place)) as source:
        found = find_corpus(importer, source, importer_options(importer)(**options))
        importing = Importing(importer, str(place), None, {})
        return write_import(found, importing, Target(out, clips, on_damage), lambda sentence: None)


def left_out(imported: Imported) -> dict[str, int]:
    """The counts of what was dropped, by reason."""
    return {one.reason: one.count for one in imported.dropped}
