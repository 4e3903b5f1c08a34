"""Records of a release, its sources with their licences, and which of them may be shared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.release import Release
from avemo_harness.data.checks.findings import CHECKS_RECORD as CHECKS
from avemo_harness.data.importers.writing import IMPORT_RECORD as IMPORT
from avemo_harness.data.licences import forbids_derivatives, may_be_shared
from avemo_harness.data.pipeline.package import PROVENANCE
from avemo_harness.data.pipeline.package import RECORD as BUILD
from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.text import publishable

RECORD_NAMES = (BUILD, PROVENANCE, IMPORT, CHECKS)
"""Every record that there may be."""

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Records:
    """What is known of how a release was made; empty where there is no such record.

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
        whole = {BUILD: self.build, IMPORT: self.imported, CHECKS: self.checks}
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
        build=_read_object(folder / BUILD),
        provenance=tuple(_parse_object(line, f"{folder / PROVENANCE}:{n}") for n, line in enumerate(lines, 1)),
        imported=_read_object(folder / IMPORT),
        checks=_read_object(folder / CHECKS),
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


_MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class Asset:
    """A source of a release.

    Args:
        what: a corpus, a generator, a picture that was animated, or a tool with a licence of its own.
        licence: as its owner words it; empty where nothing is known.
        clips: how many clips are of it.
        redistributable: whether those clips may be passed on to others.
        no_derivatives: whether changed clips must not be passed on.
    """

    what: str
    licence: str
    clips: int
    redistributable: bool
    no_derivatives: bool


def find_assets(releases: Iterable[Release], records: Records) -> tuple[Asset, ...]:
    """Every source that the rows of a release's splits and its records name.

    An importer's record says for all rows what may be done with the clips; without one, the rows' licences do.
    """
    imported = records.imported
    counts: Counter[tuple[str, str]] = Counter()
    for release in releases:
        for dialogue in release.dialogues:
            counts[dialogue.source, dialogue.licence] += sum(turn.clip is not None for turn in dialogue.turns)
    rows = (
        Asset(
            what=source or "unknown source",
            licence=licence,
            clips=clips,
            redistributable=bool(imported.get("redistributable", True)),
            no_derivatives=bool(imported.get("no_derivatives")) or forbids_derivatives(licence),
        )
        for (source, licence), clips in sorted(counts.items())
    )
    return (*rows, *_portraits(records.provenance), *_tools(records.provenance))


def _portraits(provenance: Sequence[JsonObject]) -> Iterator[Asset]:
    """The pictures that were animated, and clips that must not be passed on for another reason."""
    counts: Counter[tuple[str, str, bool, bool]] = Counter()
    for line in provenance:
        redistributable, no_derivatives = bool(line.get("redistributable", True)), bool(line.get("no_derivatives"))
        if line.get("portrait") is not None:
            what, licence = f"portrait {line['portrait']}", str(line.get("portrait_licence") or "")
        elif not redistributable or no_derivatives:
            what, licence = "clips made by " + str(line.get("shown_by") or line.get("spoken_by")), ""
        else:
            continue
        counts[what, licence, redistributable, no_derivatives] += 1
    for (what, licence, redistributable, no_derivatives), clips in sorted(counts.items()):
        yield Asset(what, licence, clips, redistributable, no_derivatives)


def _tools(provenance: Sequence[JsonObject]) -> Iterator[Asset]:
    """The tools whose licence the configuration of a build names."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in provenance:
        for done in ("written", "spoken", "shown"):
            if line.get(f"{done}_licence"):
                counts[f"{done} by {line.get(f'{done}_by')}", str(line[f"{done}_licence"])] += 1
    for (what, licence), clips in sorted(counts.items()):
        yield Asset(what, licence, clips, redistributable=True, no_derivatives=forbids_derivatives(licence))


def is_free(asset: Asset) -> bool:
    """Whether recordings of an asset, and smaller copies of them, may be passed on without a further promise.

    Rows that state no licence are their owner's own; a licence that is not known to allow it frees nothing.
    """
    stated = bool(asset.licence.strip())
    return asset.redistributable and not asset.no_derivatives and (may_be_shared(asset.licence) or not stated)


def refuse_restricted(assets: Sequence[Asset], with_clips: bool, acknowledged: bool) -> None:
    """Refuse to share what must not be shared, or what may be only under conditions that nobody acknowledged.

    Args:
        with_clips: whether clips are to be uploaded, or ids, labels and digests alone.

    Raises:
        UsageError: names the assets, and says what can be done.
    """
    forbidden = [one for one in assets if not one.redistributable]
    if with_clips and forbidden:
        raise UsageError(
            f"clips must not be passed on: {_list_assets(forbidden)}; nothing is uploaded. Push ids, labels and "
            "digests alone with --ids_only, or make the release of sources that may be shared (a corpus imported "
            "without --embed is named and not held)"
        )
    conditional = [*forbidden, *(one for one in assets if _is_conditional(one, with_clips))]
    if conditional and not acknowledged:
        raise UsageError(
            f"restricted: {_list_assets(conditional)}; nothing is uploaded. Where you have made sure that you may "
            f"share {'these clips' if with_clips else 'the ids, texts and labels'}, say so with "
            "--acknowledge_restricted"
        )


def _is_conditional(asset: Asset, with_clips: bool) -> bool:
    if not asset.redistributable:
        return False
    return not may_be_shared(asset.licence) or (with_clips and asset.no_derivatives)


def _list_assets(assets: Sequence[Asset]) -> str:
    told = [f"{one.what} ({_licence_words(one)})" for one in assets[:_MAX_LISTED]]
    more = f", {len(assets) - _MAX_LISTED} more" if len(assets) > _MAX_LISTED else ""
    return ", ".join(told) + more


def _licence_words(asset: Asset) -> str:
    licence = asset.licence or "no licence is stated"
    return f"{licence}; no derivatives" if asset.no_derivatives and asset.redistributable else licence
