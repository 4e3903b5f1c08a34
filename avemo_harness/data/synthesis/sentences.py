"""Emotionally neutral sentences from templates, and a lexicon of words that give an emotion away."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

_OPENINGS = (
    "I left the {thing} on the {place} before I went out.",
    "The {thing} that we ordered is here, it is on the {place}.",
    "My {person} put the {thing} back on the {place} again.",
    "They moved my {thing} to the {place} this morning.",
    "I saw your {person} at the door with the {thing}.",
    "We are taking the {thing} to my {person} on {day}.",
    "My {person} said that the {thing} will be ready by {day}.",
    "There is a note about the {thing} on the {place}.",
    "On {day} I have to show the {thing} to my {person}.",
    "You can see the {thing} from the {place}, next to the stairs.",
    "My {person} called about the {thing} on {day}.",
    "I counted everything, and the {thing} was on the {place}.",
)
_SEQUELS = (
    "So on {day} I went to look at the {thing} once more.",
    "And then my {person} asked me about the {thing}.",
    "It had been on the {place} the whole time.",
    "Now my {person} is coming over because of it.",
    "They told me that it would take until {day}.",
    "I did not think that the {thing} would be on the {place}.",
    "Then I put it all back on the {place} and went home.",
    "My {person} has the other half of it until {day}.",
)
_REPLIES = (
    "I see. Tell me more about the {thing}.",
    "Thank you for telling me. Where is the {thing} now?",
    "I am listening. What did your {person} say about it?",
    "Let us go through it together, starting with the {thing}.",
    "That is a lot to think about. What will you do on {day}?",
    "I understand. Shall I write that down for {day}?",
)
_SLOTS = {
    "thing": (
        "blue box",
        "old radio",
        "green bag",
        "letter",
        "key",
        "map",
        "picture",
        "table lamp",
        "notebook",
        "parcel",
    ),
    "place": ("kitchen table", "top shelf", "window sill", "back seat", "front desk", "balcony", "work bench"),
    "person": ("sister", "neighbour", "cousin", "teacher", "uncle", "manager", "room mate"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
}


@dataclass(frozen=True, slots=True)
class Situation:
    """Topic of one talk: a word for each slot of the sentences."""

    thing: str
    place: str
    person: str
    day: str

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Situation:
        return cls(*(words[rng.integers(len(words))] for words in _SLOTS.values()))

    def opening(self, rng: np.random.Generator) -> str:
        return self._fill(_OPENINGS, rng)

    def sequel(self, rng: np.random.Generator) -> str:
        return self._fill(_SEQUELS, rng)

    def reply(self, rng: np.random.Generator) -> str:
        return self._fill(_REPLIES, rng)

    def talk(self, turns: int, rng: np.random.Generator) -> Iterator[str]:
        """Texts of a talk: the user's opening, then replies and sequels by turns; each is drawn when asked for."""
        for turn in range(turns):
            yield self.reply(rng) if turn % 2 else self.sequel(rng) if turn else self.opening(rng)

    def _fill(self, templates: tuple[str, ...], rng: np.random.Generator) -> str:
        template = templates[rng.integers(len(templates))]
        return template.format(thing=self.thing, place=self.place, person=self.person, day=self.day)


LEAK_WORDS: Mapping[str, str] = {
    "neutral": """neutral* unemotional* emotionless* indifferen* impassive* dispassionate* calm calmer calmest calmly
        calmness calming calmed unmoved unbothered""",
    "happy": """happy happier happiest happily happiness glad gladder gladly gladness joy joys joyful* joyous* enjoy*
        overjoyed delight* cheerful* cheery cheers cheering cheered merry merrily elat* ecsta* excit* thrill* bliss*
        jubilan* jolly joking laugh* giggl* smil* grin grins grinned grinning pleased wonderful* fantastic* amazing
        awesome yay hooray hurray haha* hehe* yippee woohoo""",
    "angry": """angry angrier angriest angrily anger* mad madder maddest madly madness maddening furious* fury rage
        rages raged raging enrag* outrag* irate livid annoy* irritat* infuriat* frustrat* resent* hate hates hated
        hating hateful hatred hostil* wrath* grumpy fuming seething yell yells yelled yelling shout* scream* damn*
        grr*""",
    "sad": """sad sadder saddest sadly sadness sadden* unhapp* sorrow* grief* griev* depress* miserab* misery gloom*
        melanchol* mourn* heartbr* heartache* lonely lonelier loneliest loneliness disappoint* despair* hopeless* upset*
        cry cries cried crying weep weeps weeping wept sob sobs sobbed sobbing tearful* devastat* dejected downcast
        sigh sighs sighed sighing""",
    "any": "emotion* mood moods moody",
}
"""English words by the emotion that they tell, in small letters; a star stands for any ending."""


def find_leaks(text: str, more: Mapping[str, Sequence[str]] | None = None) -> tuple[tuple[str, str], ...]:
    """Find the words of a text that tell an emotion, whichever the text is to be spoken with.

    Returns:
        Emotion and word of each, in order; ``any`` where a word only speaks of emotions.

    Args:
        more: further words by emotion, written as in `LEAK_WORDS`; for languages other than English.

    >>> find_leaks("I was so MADLY unhappy on the happening")
    (('angry', 'madly'), ('sad', 'unhappy'))
    >>> find_leaks("Ich bin froh.", {"happy": ["froh*"]})
    (('happy', 'froh'),)
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    listed = {emotion: tuple(words.split()) for emotion, words in LEAK_WORDS.items()}
    for emotion, words in (more or {}).items():
        listed[emotion] = (*listed.get(emotion, ()), *words)
    found = [
        (match.start(), (emotion, match[0]))
        for emotion, words in listed.items()
        if words
        for match in _pattern(words).finditer(plain)
    ]
    return tuple(leak for _, leak in sorted(found, key=lambda one: one[0]))


@cache
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    folded = (unicodedata.normalize("NFKC", word).casefold() for word in words)
    either = "|".join(re.escape(word).replace(r"\*", r"\w*") for word in folded)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)")
