"""Plan of a release: speakers with voice and portrait, topics, emotions and takes of its dialogues."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.benchmark.text_tables import read_table
from avemo_harness.data.pipeline.backends import Portrait, ScriptRequest, SpeakerProfile
from avemo_harness.data.pipeline.config import BuildConfig, PortraitConfig
from avemo_harness.data.sharing.assets import forbids_derivatives
from avemo_harness.data.synthesis.affect import ASSISTANT_ID, ASSISTANT_NUMBER
from avemo_harness.data.synthesis.planning import last_user_turn, shuffle_and_name
from avemo_harness.errors import UsageError
from avemo_harness.registry import hint

ENDINGS = (".png", ".jpg", ".jpeg")
_COLUMNS = ("id", "gender", "licence", "license")
_GENDER_WORDS = {"": "", "m": "male", "male": "male", "f": "female", "female": "female"}


def read_portraits(config: PortraitConfig) -> tuple[Portrait, ...]:
    """The pictures of a folder, by name.

    Raises:
        UsageError: there are none, or the table is malformed or names others.
    """
    folder = Path(config.folder).expanduser()
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not files:
        raise UsageError(f"portraits: {folder} holds no picture ({', '.join(ENDINGS)})")
    rows = _read_portrait_table(Path(config.table).expanduser()) if config.table else {}
    if unknown := sorted(set(rows) - {path.stem for path in files}):
        raise UsageError(f"{config.table}: there is no picture {unknown[0]!r} in {folder}")
    portraits = []
    for path in files:
        gender, licence = rows.get(path.stem, ("", ""))
        licence = licence or config.licence
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        portraits.append(Portrait(path.stem, path, digest, gender, licence, forbids_derivatives(licence)))
    return tuple(portraits)


def choose_portrait(portraits: Sequence[Portrait], gender: str, seed: Sequence[int]) -> Portrait | None:
    """Draw a picture, of that gender where there is one; None where there are no pictures."""
    fitting = [one for one in portraits if one.gender == gender] or list(portraits)
    return fitting[np.random.default_rng(list(seed)).integers(len(fitting))] if fitting else None


def _read_portrait_table(path: Path) -> Mapping[str, tuple[str, str]]:
    """Gender and licence of each picture; empty where the table says nothing."""
    table = read_table(path, ",")
    table.find("id")
    if unknown := [name for name in table.columns if name not in _COLUMNS]:
        raise UsageError(f"{path}:1: unknown column {unknown[0]!r}{hint(unknown[0], _COLUMNS)}; rename or delete it")
    if {"licence", "license"} <= set(table.columns):
        raise UsageError(f"{path}:1: there are columns 'licence' and 'license'; keep one of them")
    found: dict[str, tuple[str, str]] = {}
    for row in table.rows:
        name, gender = table.text(row, "id"), table.text(row, "gender")
        if not name:
            raise UsageError(f"{path}:{row.line}: a row needs the id of a picture: its name without the ending")
        if name in found:
            raise UsageError(f"{path}:{row.line}: {name!r} is there twice; keep one row for a picture")
        if gender.lower() not in _GENDER_WORDS:
            raise UsageError(f"{path}:{row.line}: expected the gender male or female, found {gender!r}; correct it")
        licence = table.text(row, "licence") or table.text(row, "license")
        found[name] = _GENDER_WORDS[gender.lower()], licence
    return found


SINGLE, MULTI = "singleturn_synthetic", "multiturn_synthetic"
_SHORTEST, _LONGEST = 3, 5
"""Utterances of a multi-turn dialogue, as the paper has it."""
_GENDERS = ("male", "female")
"""Of the built-in people, whose even numbers have the lower voices."""


@dataclass(frozen=True, slots=True)
class PlannedTake:
    """A dialogue to be made: a story in one of its four takes.

    Args:
        story: dialogues of one story have the same words and, up to their last user's utterance, the same recordings;
            that one each says in an emotion of its own.
        speaker: the user.
    """

    story: str
    request: ScriptRequest
    speaker: SpeakerProfile

    @property
    def dialogue_id(self) -> str:
        """Unique in the release; tells nothing of what is in the dialogue."""
        return self.request.script_id

    @property
    def asked_turn(self) -> int:
        """The last utterance of the user."""
        return last_user_turn(self.request.turns)


def plan_release(config: BuildConfig, portraits: Sequence[Portrait]) -> dict[str, tuple[PlannedTake, ...]]:
    """Plan the dialogues of each split; equal configurations give equal plans."""
    speakers = [_speaker(config, portraits, number) for number in range(config.speakers)]
    sizes = {SINGLE: config.splits.singleturn_synthetic, MULTI: config.splits.multiturn_synthetic}
    plan = {}
    for split_number, (split, size) in enumerate(sizes.items()):
        rng = np.random.default_rng([config.seed, split_number])
        drafts = [
            PlannedTake(f"{split} {story}", request, speakers[story % len(speakers)])
            for story in range(size.dialogues // 4)
            for request in _takes(config, split, story, rng)
        ]
        prefix = split.partition("_")[0].removesuffix("turn")
        plan[split] = tuple(
            replace(draft, request=replace(draft.request, script_id=dialogue_id))
            for dialogue_id, draft in shuffle_and_name(drafts, prefix, 5, rng)
        )
    return plan


def assistant_profile(config: BuildConfig) -> SpeakerProfile:
    """The assistant of all dialogues, who speaks with the last of the configured voices."""
    voice = config.voices[-1] if config.voices else ""
    return SpeakerProfile(ASSISTANT_ID, ASSISTANT_NUMBER, _GENDERS[1], voice, None)


def _takes(config: BuildConfig, split: str, story: int, rng: np.random.Generator) -> Iterator[ScriptRequest]:
    """A story in four takes, whose last user's utterance is in each of the four emotions."""
    turns = 2 if split == SINGLE else int(rng.integers(_SHORTEST, _LONGEST + 1))
    users = (turns + 1) // 2
    before = tuple(EMOTIONS[i] for i in rng.integers(len(EMOTIONS), size=users - 1))
    topic = 2 * story + (split == MULTI)
    for take, emotion in enumerate(EMOTIONS):
        yield ScriptRequest("", turns, (*before, emotion), topic, take, config.language, config.seed)


def _speaker(config: BuildConfig, portraits: Sequence[Portrait], number: int) -> SpeakerProfile:
    gender = _GENDERS[number % 2]
    voice = config.voices[number % len(config.voices)] if config.voices else ""
    portrait = choose_portrait(portraits, gender, (config.seed, 11, number))
    return SpeakerProfile(f"speaker{number:03}", number, gender, voice, portrait)
