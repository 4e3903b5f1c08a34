"""One config of a release with everything the checks look at: its rows, and what its clips turned out to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.benchmark.release import CONFLICT, Clip, Dialogue, Release, Turn
from avemo_harness.benchmark.release_loader import ReleaseOptions, load_release, local_splits
from avemo_harness.build.checks.survey import ClipFacts, ClipProblem
from avemo_harness.errors import ReleaseError
from avemo_harness.names import hint


@dataclass(frozen=True, slots=True)
class PlacedTurn:
    """A turn with where it stands."""

    split: str
    dialogue: Dialogue
    turn: Turn

    @property
    def name(self) -> str:
        return f"{self.split}, dialogue {self.dialogue.dialogue_id}, turn {self.turn.turn_index}"


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """A clip of a labelled user turn, and what is in it."""

    place: PlacedTurn
    emotion: str
    speaker: str
    clip: Clip
    facts: ClipFacts


@dataclass(frozen=True)
class Material:
    """A config to be checked.

    Args:
        releases: the config as read, by data set split.
        clips: what was found in each clip, by its digest.
    """

    config: str
    releases: Mapping[str, Release]
    clips: Mapping[str, ClipFacts | ClipProblem]

    def turns(self) -> Iterator[PlacedTurn]:
        """Every turn, in the release's order."""
        return turns_of(self.releases)

    def labelled(self) -> Iterator[LabelledClip]:
        """The clips of labelled user turns that could be decoded, each once."""
        seen = set()
        for place in self.turns():
            turn = place.turn
            if turn.role != "user" or turn.emotion is None or turn.clip is None:
                continue
            facts = self.clips[turn.clip.sha256]
            if isinstance(facts, ClipFacts) and turn.clip.sha256 not in seen:
                seen.add(turn.clip.sha256)
                yield LabelledClip(place, turn.emotion, turn.speaker_id, turn.clip, facts)

    def unread(self) -> int:
        """Number of clips of labelled user turns that could not be decoded."""
        asked, _ = clips_of(self.releases)
        return sum(not isinstance(self.clips[clip.sha256], ClipFacts) for clip in asked)


def turns_of(releases: Mapping[str, Release]) -> Iterator[PlacedTurn]:
    """Every turn of a config's splits."""
    for split, release in releases.items():
        for dialogue in release.dialogues:
            for turn in dialogue.turns:
                yield PlacedTurn(split, dialogue, turn)


def clips_of(releases: Mapping[str, Release]) -> tuple[list[Clip], list[Clip]]:
    """The clips of labelled user turns, and the other clips; each once."""
    asked: dict[str, Clip] = {}
    others: dict[str, Clip] = {}
    for place in turns_of(releases):
        turn = place.turn
        if turn.clip is not None:
            kept = asked if turn.role == "user" and turn.emotion is not None else others
            kept.setdefault(turn.clip.sha256, turn.clip)
    return list(asked.values()), [clip for digest, clip in others.items() if digest not in asked]


def configs_of(folder: Path, named: str | None) -> dict[str, list[str]]:
    """The configs to check with their data set splits; those of conflict pairs come with the config they belong to.

    Raises:
        ReleaseError: there is none, or not the one that is named.
    """
    splits = local_splits(folder)
    found = {config: parts for config, parts in splits.items() if not config.endswith(CONFLICT) and parts}
    if named is not None:
        if named not in found:
            raise ReleaseError(f"{folder}: there is no config {named!r}{hint(named, found)}")
        return {named: found[named]}
    if not found:
        raise ReleaseError(
            f"{folder}: expected folders of Parquet files, one a config, found none; check the path, or build the "
            "release again"
        )
    return dict(sorted(found.items()))


def load_splits(folder: Path, config: str, splits: list[str], media_root: Path | None) -> dict[str, Release]:
    """Read a config.

    Raises:
        ReleaseError: its rows break the schema.
    """
    options = ReleaseOptions(media_root=media_root)
    return {split: load_release(str(folder), config, split, options) for split in splits}
