"""Raters' votes: a table with a row for each vote.

Columns are found by name, separated by commas: ``clip`` (the clip's digest, or its first 12 digits or more), or else
``dialogue`` and ``turn``, with ``config`` and ``split`` where these are not enough; ``rater``; ``modality`` (``sound``,
``face`` or ``both``; without it, both) and ``label``, which may be any word, such as ``disgust`` or ``unsure``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from avemo_harness.benchmark.release import EMOTIONS, Release
from avemo_harness.build.checks.material import turns_of
from avemo_harness.build.checks.opinions import Opinions, Rule, Stream
from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.corpora.tables import Row, Table, read_table

STREAMS: Mapping[str, Stream] = {
    "": "both",
    "both": "both",
    "sound": "sound",
    "audio": "sound",
    "face": "face",
    "video": "face",
}
"""What a modality may be called."""

LEAST_DIGITS = 12

Configs = Mapping[str, Mapping[str, Release]]
"""Config -> data set split -> what was read."""


def read_votes(path: Path, configs: Configs, rule: Rule) -> Opinions:
    """Read votes. Those of clips that are not in `configs` are counted.

    Raises:
        ReleaseError: the table is missing or malformed, a row cannot be understood, a rater says two things of one
            clip, or no vote names one of the benchmark's emotions or a clip of the release.
    """
    table = read_table(path.expanduser(), ",")
    for name in ("rater", "label"):
        table.find(name)
    if not table.has("clip"):
        for name in ("dialogue", "turn"):
            table.find(name)
    clips = _Clips(configs)
    named: dict[tuple[str, Stream], dict[str, str]] = defaultdict(dict)
    unplaced = 0
    for row in table.rows:
        where = f"{table.path}:{row.line}"
        rater, label, stream = _vote(table, row, where)
        digest = clips.find(table, row, where)
        if digest is None:
            unplaced += 1
            continue
        # Dialogues may share a clip, of which a table by turns then has several rows.
        before = named[digest, stream].setdefault(rater, label)
        if before != label:
            raise ReleaseError(
                f"{where}: {rater!r} named {before!r} before and names {label!r} now for one clip ({stream}); keep one "
                "of the rows"
            )
    said = {key: tuple(votes.values()) for key, votes in named.items()}
    if not any(label in EMOTIONS for labels in said.values() for label in labels):
        raise ReleaseError(
            f"{table.path}: expected votes for {', '.join(EMOTIONS)} on clips of this release, found none among "
            f"{len(table.rows):,} rows ({unplaced:,} of other clips); translate the labels, or check the release"
        )
    raters = len({rater for votes in named.values() for rater in votes})
    return Opinions(f"{raters} raters of {path.name}", rule, said, unplaced)


def _vote(table: Table, row: Row, where: str) -> tuple[str, str, Stream]:
    rater, label, modality = (table.text(row, name) for name in ("rater", "label", "modality"))
    for name, cell in (("rater", rater), ("label", label)):
        if not cell:
            raise ReleaseError(f"{where}: expected a {name}, found nothing; complete the row or delete it")
    if modality.lower() not in STREAMS:
        raise ReleaseError(f"{where}: expected a modality of sound, face or both, found {modality!r}; correct it")
    return rater, label.lower(), STREAMS[modality.lower()]


class _Clips:
    """The clips of a release by digest and by place."""

    def __init__(self, configs: Configs) -> None:
        self._digests: set[str] = set()
        self._places: dict[tuple[str, str], set[tuple[str, str, str]]] = defaultdict(set)
        for config, releases in configs.items():
            for place in turns_of(releases):
                if place.turn.clip is not None:
                    digest = place.turn.clip.sha256
                    self._digests.add(digest)
                    key = place.dialogue.dialogue_id, str(place.turn.turn_index)
                    self._places[key].add((config, place.split, digest))
        self._begun = {digest[:LEAST_DIGITS]: digest for digest in self._digests}

    def find(self, table: Table, row: Row, where: str) -> str | None:
        """The digest of the clip that a row is about; None where there is no such clip.

        Raises:
            ReleaseError: the row names no clip, or several.
        """
        digits = table.text(row, "clip").lower()
        if digits:
            if len(digits) < LEAST_DIGITS:
                raise ReleaseError(
                    f"{where}: expected {LEAST_DIGITS} or more digits of a clip's digest, found {digits}"
                )
            found = self._begun.get(digits[:LEAST_DIGITS])
            return found if found is not None and found.startswith(digits) else None
        dialogue, turn, config, split = (table.text(row, name) for name in ("dialogue", "turn", "config", "split"))
        if not dialogue or not turn:
            raise ReleaseError(f"{where}: expected a clip, or a dialogue and a turn, found neither; complete the row")
        matching = {
            digest
            for one_config, one_split, digest in self._places.get((dialogue, turn), ())
            if config in ("", one_config) and split in ("", one_split)
        }
        if len(matching) > 1:
            raise ReleaseError(
                f"{where}: {len(matching)} clips of the release are dialogue {dialogue}, turn {turn}; add a column "
                "'config' or 'split'"
            )
        return next(iter(matching), None)
