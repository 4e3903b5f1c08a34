"""Words that tell an emotion: what is said must not name how it is said, or it need not be heard and seen."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

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


@dataclass(frozen=True, slots=True)
class Leak:
    """A word as it stands in a text, and the emotion that it tells; ``any`` where it only speaks of emotions."""

    emotion: str
    word: str


def find_leaks(text: str, more: Mapping[str, Sequence[str]] | None = None) -> tuple[Leak, ...]:
    """The words of a text that tell an emotion, whichever the text is to be spoken with, in order.

    Args:
        more: further words by emotion, written as in `LEAK_WORDS`; for languages other than English.

    >>> find_leaks("I was so MADLY unhappy on the happening")
    (Leak(emotion='angry', word='madly'), Leak(emotion='sad', word='unhappy'))
    >>> find_leaks("Ich bin froh.", {"happy": ["froh*"]})
    (Leak(emotion='happy', word='froh'),)
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    listed = {emotion: tuple(words.split()) for emotion, words in LEAK_WORDS.items()}
    for emotion, words in (more or {}).items():
        listed[emotion] = (*listed.get(emotion, ()), *words)
    found = [
        (match.start(), Leak(emotion, match[0]))
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
