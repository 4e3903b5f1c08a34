"""Sources of a release with their licences, and the refusal to share what must not be shared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from avemo_harness.benchmark.release import Release
from avemo_harness.data.sharing.records import JsonObject, Records
from avemo_harness.errors import UsageError

_ADDRESS = re.compile(r"^\s*https?://(?:www\.)?creativecommons\.org/(?:licenses|publicdomain)/")
_NOISE = re.compile(r"\b(?:the|licen[cs]e|international|universal|unported|generic|version|v)\b")
_NAMES = (
    ("creative commons", "cc"),
    ("attribution", "by"),
    ("non commercial|noncommercial", "nc"),
    ("share alike|sharealike", "sa"),
    (r"no ?deriv\w*", "nd"),
    ("zero", "0"),
)
_SHARED = re.compile(
    r"(?:(?:cc )?by(?: nc)?(?: sa| nd)?|cc 0|public domain(?: mark| dedication)?|pddl|(?:open database )?odbl"
    r"|open database|odc (?:by|odbl)|cdla (?:permissive|sharing)|mit|apache|isc|zlib|unlicense|bsd(?: [234] clause)?"
    r"|[al]?gplv?|mpl)(?: \d[\d.]*)?"
)
"""Names, in the words of `_words`, of licences under which anybody may pass a work on: under the same licence, with its
owner named, for nothing, or unchanged, where they say so."""
_NO_DERIVATIVES = re.compile(r"\bnd\b|\bby(?:nc)?nd\b|\bccby(?:nc)?nd\b|no deriv|\bai ?face")


def may_be_shared(licence: str) -> bool:
    """True where anybody may pass on a work of that licence; False for one that is not known.

    >>> [may_be_shared(name) for name in ("CC0-1.0", "cc_by_nc_sa_4.0", "research only", "unclear: two are named", "")]
    [True, True, False, False, False]
    """
    return bool(_SHARED.fullmatch(_words(licence)))


def forbids_derivatives(licence: str) -> bool:
    """True where derivatives of a work of that licence may not be passed on.

    >>> [forbids_derivatives(name) for name in ("CC BY-NC-ND 4.0", "CC BY-NC 4.0", "AI_Face EULA", "")]
    [True, False, True, False]
    """
    return bool(_NO_DERIVATIVES.search(_words(licence)))


def _words(licence: str) -> str:
    """A licence in small letters, with single blanks between words and numbers, in the shortest names.

    >>> _words("CC_BY-NC-ND4.0"), _words("Creative Commons Attribution-NonCommercial 4.0 International License")
    ('cc by nc nd 4.0', 'cc by nc 4.0')
    """
    text = re.sub(r"[^a-z0-9.]+", " ", _ADDRESS.sub("cc ", licence.casefold()))
    text = _NOISE.sub(" ", re.sub(r"(?<=[a-z])(?=\d)", " ", text))
    text = " ".join(word.strip(".") for word in text.split())
    for written, short in _NAMES:
        text = re.sub(rf"\b(?:{written})\b", short, text)
    return " ".join(text.split())


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
    """True where recordings of an asset, and smaller copies of them, may be passed on without a further promise.

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
    shareable = [asset for asset in assets if asset.redistributable]
    conditional = [
        *forbidden,
        *(one for one in shareable if not may_be_shared(one.licence) or (with_clips and one.no_derivatives)),
    ]
    if conditional and not acknowledged:
        raise UsageError(
            f"restricted: {_list_assets(conditional)}; nothing is uploaded. Where you have made sure that you may "
            f"share {'these clips' if with_clips else 'the ids, texts and labels'}, say so with "
            "--acknowledge_restricted"
        )


def _list_assets(assets: Sequence[Asset]) -> str:
    listed = [f"{asset.what} ({_licence_words(asset)})" for asset in assets[:_MAX_LISTED]]
    more = f", {len(assets) - _MAX_LISTED} more" if len(assets) > _MAX_LISTED else ""
    return ", ".join(listed) + more


def _licence_words(asset: Asset) -> str:
    licence = asset.licence or "no licence is stated"
    return f"{licence}; no derivatives" if asset.no_derivatives and asset.redistributable else licence
