"""What an importer finds in a corpus, and what becomes of it once every clip has been checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from avemo_harness.benchmark.release import ConflictPair, Dialogue, Role
from avemo_harness.recognizers.corpora.base import Dropped, Part

MULTI_TURN, SINGLE_TURN = "multiturn_real", "singleturn_synthetic"
"""The configs that are read by the tasks of real dialogues, and by those of single turns: clips that stand alone go
there, real ones too."""


@dataclass(frozen=True, slots=True)
class About:
    """What is the same for every clip of a corpus.

    Args:
        name: as its authors call it.
        licence: SPDX where there is one.
        redistributable: whether clips, or parts of them, may be passed on to others.
        no_derivatives: whether changed clips must not be passed on.
        label_map: the corpus' own labels, each with the benchmark's emotion; what is not here is left out.
        language: code such as ``en``.
    """

    name: str
    homepage: str
    citation: str
    licence: str
    redistributable: bool
    label_map: Mapping[str, str]
    no_derivatives: bool = False
    language: str = "en"


class Recording(Protocol):
    """Where a turn's clip comes from."""

    @property
    def name(self) -> str:
        """The file that it is, or is mostly made of, by its name in the source."""

    @property
    def ending(self) -> str:
        """That of a file that holds the clip, such as ``.mp4``."""

    @property
    def readable_in_place(self) -> bool:
        """Whether the clip is that very file, and the file lies in a local folder."""

    def make(self) -> bytes:
        """The clip. MediaError: a file is damaged, or does not fit the others that it is made of."""


@dataclass(frozen=True, slots=True)
class FoundTurn:
    """A turn before its clip has been looked at. `emotion` is one of the benchmark's, or None."""

    role: Role
    speaker_id: str
    text: str
    emotion: str | None
    recording: Recording


@dataclass(frozen=True, slots=True)
class FoundDialogue:
    """A dialogue before its clips have been looked at; single clips are dialogues of one turn."""

    dialogue_id: str
    part: Part
    turns: tuple[FoundTurn, ...]


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that told about the clips, by its name in the source and its digest."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Found:
    """Dialogues that an importer found. No clip has been decoded.

    Args:
        config: the config that dialogues like these are written as.
        order: how names of files rank; clips are read in this order.
        dropped: what was left out, each recording under one reason.
        notes: sentences for the user.
    """

    about: About
    config: str
    dialogues: tuple[FoundDialogue, ...]
    order: Mapping[str, int]
    dropped: tuple[Dropped, ...]
    tables: tuple[ReadFile, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """A corpus as dialogues whose clips were checked; a clip's bytes are read when asked for.

    Args:
        dialogues: of each part, by id.
        pairs: conflict pairs of each part that has some.
        paths: by the digest of a clip, its path below the folder that readers give as ``media_root``.
        checked: how many clips were looked at.
        bad_files: why each file that was left out with its dialogue cannot be used, by name.
    """

    about: About
    config: str
    dialogues: Mapping[Part, tuple[Dialogue, ...]]
    pairs: Mapping[Part, tuple[ConflictPair, ...]]
    dropped: tuple[Dropped, ...]
    tables: tuple[ReadFile, ...]
    notes: tuple[str, ...]
    paths: Mapping[str, str]
    checked: int
    bad_files: Mapping[str, str]

    @property
    def damaged(self) -> tuple[str, ...]:
        """Names of the files that were left out with their dialogues."""
        return tuple(self.bad_files)

    @property
    def bad_share(self) -> float:
        """Share of the clips, from 0 to 1, that was left out."""
        return len(self.bad_files) / self.checked
