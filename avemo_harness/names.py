"""Which valid name a wrong one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

CLOSE_ENOUGH = 0.6
MAX_LENGTH = 60
"""Characters of a wrong name that are looked at: comparing takes time that grows with the square of its length."""


def nearest(word: str, known: Iterable[str], count: int = 1) -> list[str]:
    """The known names that a word is like, the most alike first, then those that it begins; at most `count`.

    >>> nearest("basline", ["baseline", "random"]), nearest("multi", ["multiturn_synthetic", "demo"])
    (['baseline'], ['multiturn_synthetic'])
    """
    names = sorted(set(known))
    alike = get_close_matches(word[:MAX_LENGTH], names, n=count, cutoff=CLOSE_ENOUGH)
    begun = [name for name in names if word and name.startswith(word)]
    return list(dict.fromkeys([*alike, *begun]))[:count]


def hint(word: str, known: Iterable[str]) -> str:
    """What to add to a message about a wrong name: the nearest known one, else all of them, else nothing.

    >>> hint("randon", ["baseline", "random"]), hint("xyz", ["baseline", "random"]), hint("xyz", [])
    ("; nearest: 'random'", '; known: baseline, random', '')
    """
    names = list(known)
    close = nearest(word, names)
    if close:
        return f"; nearest: {close[0]!r}"
    return f"; known: {', '.join(names)}" if names else ""
