"""Which names belong together when pairs of them do."""

from __future__ import annotations

from collections.abc import Iterable


def linked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each name the smallest of all names that it is linked with, directly or through others.

    >>> linked([("b", "a"), ("c", "b"), ("x", "y")])
    {'b': 'a', 'a': 'a', 'c': 'a', 'x': 'x', 'y': 'x'}
    """
    leader: dict[str, str] = {}

    def find(one: str) -> str:
        while leader.setdefault(one, one) != one:
            one = leader[one]
        return one

    for one, other in pairs:
        first, second = sorted((find(one), find(other)))
        leader[second] = first
    return {one: find(one) for one in list(leader)}
