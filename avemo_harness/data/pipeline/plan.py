"""Plan of a release: speakers with voice and portrait, topics, emotions and takes of its dialogues."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.pipeline.backends import Portrait, ScriptRequest, SpeakerProfile
from avemo_harness.data.pipeline.config import BuildConfig, PortraitConfig
from avemo_harness.data.sharing.assets import forbids_derivatives
from avemo_harness.errors import UsageError
from avemo_harness.recognizers.corpora.tables import read_table
from avemo_harness.registry import hint

ENDINGS = (".png", ".jpg", ".jpeg")
_COLUMNS = ("id", "gender", "licence", "license")
_GENDER_WORDS = {"": "", "m": "male", "male": "male", "f": "female", "female": "female"}


@dataclass(frozen=True, slots=True)
class _PortraitRow:
    """What the table tells of a picture; empty where it tells nothing."""

    gender: str = ""
    licence: str = ""


def read_portraits(config: PortraitConfig) -> tuple[Portrait, ...]:
    """The pictures of a folder, by name.

    Raises:
        UsageError: there are none, or the table is malformed or names others.
    """
    folder = Path(config.folder).expanduser()
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not files:
        raise UsageError(f"portraits: {folder} holds no picture ({', '.join(ENDINGS)})")
    told = _table(Path(config.table).expanduser()) if config.table else {}
    names = {path.stem for path in files}
    if unknown := sorted(set(told) - names):
        raise UsageError(f"{config.table}: there is no picture {unknown[0]!r} in {folder}")
    return tuple(_portrait(path, told.get(path.stem, _PortraitRow()), config.licence) for path in files)


def choose_portrait(portraits: Sequence[Portrait], gender: str, seed: Sequence[int]) -> Portrait | None:
    """A picture for somebody, of that gender where there is one; None where there are no pictures."""
    fitting = [one for one in portraits if one.gender == gender] or list(portraits)
    return fitting[np.random.default_rng(list(seed)).integers(len(fitting))] if fitting else None


def _portrait(path: Path, told: _PortraitRow, licence: str) -> Portrait:
    licence = told.licence or licence
    return Portrait(
        portrait_id=path.stem,
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        gender=told.gender,
        licence=licence,
        no_derivatives=forbids_derivatives(licence),
    )


def _table(path: Path) -> Mapping[str, _PortraitRow]:
    table = read_table(path, ",")
    table.find("id")
    if unknown := [name for name in table.columns if name not in _COLUMNS]:
        raise UsageError(f"{path}:1: unknown column {unknown[0]!r}{hint(unknown[0], _COLUMNS)}; rename or delete it")
    if {"licence", "license"} <= set(table.columns):
        raise UsageError(f"{path}:1: there are columns 'licence' and 'license'; keep one of them")
    found: dict[str, _PortraitRow] = {}
    for row in table.rows:
        name, gender = table.text(row, "id"), table.text(row, "gender")
        if not name:
            raise UsageError(f"{path}:{row.line}: a row needs the id of a picture: its name without the ending")
        if name in found:
            raise UsageError(f"{path}:{row.line}: {name!r} is there twice; keep one row for a picture")
        if gender.lower() not in _GENDER_WORDS:
            raise UsageError(f"{path}:{row.line}: expected the gender male or female, found {gender!r}; correct it")
        licence = table.text(row, "licence") or table.text(row, "license")
        found[name] = _PortraitRow(_GENDER_WORDS[gender.lower()], licence)
    return found


SINGLE, MULTI = "singleturn_synthetic", "multiturn_synthetic"
_SHORTEST, _LONGEST = 3, 5
"""Utterances of a multi-turn dialogue, as the paper has it."""
_GENDERS = ("male", "female")
"""Of the built-in people, whose even numbers have the lower voices."""
_ASSISTANT = 99


@dataclass(frozen=True, slots=True)
class PlannedDialogue:
    """A dialogue to be made.

    Args:
        dialogue_id: tells nothing of what is in it.
        story: dialogues of one story have the same words and, up to their last user's utterance, the same recordings;
            that one each says in an emotion of its own.
        character: the user.
    """

    dialogue_id: str
    story: str
    brief: ScriptRequest
    character: SpeakerProfile

    @property
    def asked_turn(self) -> int:
        """The last utterance of the user."""
        return 2 * ((self.brief.turns - 1) // 2)


@dataclass(frozen=True, slots=True)
class Plan:
    """All dialogues by split, and who answers in them."""

    dialogues: dict[str, tuple[PlannedDialogue, ...]]
    assistant: SpeakerProfile


def plan_release(config: BuildConfig, portraits: Sequence[Portrait]) -> Plan:
    """Plan a release; equal configurations give equal plans."""
    people = [_person(config, portraits, number) for number in range(config.speakers)]
    splits = {}
    for place, (split, size) in enumerate(
        ((SINGLE, config.splits.singleturn_synthetic), (MULTI, config.splits.multiturn_synthetic))
    ):
        rng = np.random.default_rng([config.seed, place])
        drafts = [draft for story in range(size.dialogues // 4) for draft in _takes(split, story, rng)]
        order = rng.permutation(len(drafts))
        prefix = split.partition("_")[0].removesuffix("turn")
        splits[split] = tuple(
            _named(drafts[i], f"{prefix}-{number:05}", people, config) for number, i in enumerate(order)
        )
    voice = config.voices[-1] if config.voices else ""
    return Plan(splits, SpeakerProfile("assistant", _ASSISTANT, _GENDERS[1], voice, None))


@dataclass(frozen=True, slots=True)
class _Draft:
    split: str
    story: int
    turns: int
    emotions: tuple[str, ...]
    take: int


def _takes(split: str, story: int, rng: np.random.Generator) -> Iterator[_Draft]:
    """A story in four takes, whose last user's utterance is in each of the four emotions."""
    turns = 2 if split == SINGLE else int(rng.integers(_SHORTEST, _LONGEST + 1))
    users = (turns + 1) // 2
    before = tuple(EMOTIONS[i] for i in rng.integers(len(EMOTIONS), size=users - 1))
    for take, emotion in enumerate(EMOTIONS):
        yield _Draft(split, story, turns, (*before, emotion), take)


def _named(draft: _Draft, dialogue_id: str, people: Sequence[SpeakerProfile], config: BuildConfig) -> PlannedDialogue:
    topic = 2 * draft.story + (draft.split == MULTI)
    brief = ScriptRequest(
        script_id=dialogue_id,
        turns=draft.turns,
        emotions=draft.emotions,
        topic=topic,
        take=draft.take,
        language=config.language,
        seed=config.seed,
    )
    character = people[draft.story % len(people)]
    return PlannedDialogue(dialogue_id, f"{draft.split} {draft.story}", brief, character)


def _person(config: BuildConfig, portraits: Sequence[Portrait], number: int) -> SpeakerProfile:
    gender = _GENDERS[number % 2]
    voice = config.voices[number % len(config.voices)] if config.voices else ""
    portrait = choose_portrait(portraits, gender, (config.seed, 11, number))
    return SpeakerProfile(f"speaker{number:03}", number, gender, voice, portrait)
