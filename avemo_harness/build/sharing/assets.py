"""What a release is made of, under which licences, and what of it may be passed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from avemo_harness.benchmark.release import Release
from avemo_harness.build.licences import forbids_derivatives, may_be_shared
from avemo_harness.build.sharing.records import Records, Values
from avemo_harness.errors import UsageError

_MOST_TOLD = 5


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


def _portraits(provenance: Sequence[Values]) -> Iterator[Asset]:
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


def _tools(provenance: Sequence[Values]) -> Iterator[Asset]:
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
            f"clips must not be passed on: {_told(forbidden)}; nothing is uploaded. Push ids, labels and digests "
            "alone with --ids_only, or make the release of sources that may be shared (a corpus imported without "
            "--embed is named and not held)"
        )
    conditional = [*forbidden, *(one for one in assets if _is_conditional(one, with_clips))]
    if conditional and not acknowledged:
        raise UsageError(
            f"restricted: {_told(conditional)}; nothing is uploaded. Where you have made sure that you may share "
            f"{'these clips' if with_clips else 'the ids, texts and labels'}, say so with --acknowledge_restricted"
        )


def _is_conditional(asset: Asset, with_clips: bool) -> bool:
    if not asset.redistributable:
        return False
    return not may_be_shared(asset.licence) or (with_clips and asset.no_derivatives)


def _told(assets: Sequence[Asset]) -> str:
    told = [f"{one.what} ({_why(one)})" for one in assets[:_MOST_TOLD]]
    more = f", {len(assets) - _MOST_TOLD} more" if len(assets) > _MOST_TOLD else ""
    return ", ".join(told) + more


def _why(asset: Asset) -> str:
    licence = asset.licence or "no licence is stated"
    return f"{licence}; no derivatives" if asset.no_derivatives and asset.redistributable else licence
