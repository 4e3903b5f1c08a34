"""What a release consists of, before anything is made: who speaks in which dialogue, in which emotions, about what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.build.pipeline.backends import Brief, Character, Portrait
from avemo_harness.build.pipeline.config import BuildConfig
from avemo_harness.build.pipeline.portraits import choose_portrait

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
    brief: Brief
    character: Character

    @property
    def asked_turn(self) -> int:
        """The last utterance of the user."""
        return 2 * ((self.brief.turns - 1) // 2)


@dataclass(frozen=True, slots=True)
class Plan:
    """All dialogues by split, and who answers in them."""

    dialogues: dict[str, tuple[PlannedDialogue, ...]]
    assistant: Character


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
    return Plan(splits, Character("assistant", _ASSISTANT, _GENDERS[1], voice, None))


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


def _named(draft: _Draft, dialogue_id: str, people: Sequence[Character], config: BuildConfig) -> PlannedDialogue:
    topic = 2 * draft.story + (draft.split == MULTI)
    brief = Brief(
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


def _person(config: BuildConfig, portraits: Sequence[Portrait], number: int) -> Character:
    gender = _GENDERS[number % 2]
    voice = config.voices[number % len(config.voices)] if config.voices else ""
    portrait = choose_portrait(portraits, gender, (config.seed, 11, number))
    return Character(f"speaker{number:03}", number, gender, voice, portrait)
