"""A split by people: those who are tested on train nothing."""

from __future__ import annotations

from collections.abc import Mapping, Set
from itertools import combinations

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.corpora.base import Part

TEST_SHARE = 0.25


def choose_test_actors(talks: Mapping[frozenset[str], int]) -> frozenset[str]:
    """Choose whom to leave out for testing: what is lost, between the two groups, is small, and a quarter is tested on.

    Args:
        talks: how much each group of people said among themselves.

    Returns:
        Those for whom the share that is lost, plus the distance of the tested share from a quarter, is least.

    Raises:
        UsageError: no two groups talk among themselves.

    >>> sorted(choose_test_actors({frozenset("ab"): 6, frozenset("cd"): 2, frozenset("bd"): 1}))
    ['c', 'd']
    """
    actors = sorted(frozenset().union(*talks))
    candidates = [frozenset(some) for count in range(1, len(actors)) for some in combinations(actors, count)]
    total = sum(talks.values())
    best: tuple[float, frozenset[str]] | None = None
    for some in candidates:
        shares = dict.fromkeys(("train", "test", None), 0.0)
        for people, amount in talks.items():
            shares[part_of_actors(people, some)] += amount / total
        loss = round(shares[None] + abs(shares["test"] - TEST_SHARE), 9)
        if shares["train"] and shares["test"] and (best is None or loss < best[0]):
            best = loss, some
    if best is None:
        raise UsageError("leave-actors-out needs people who talk without the others; take the official split")
    return best[1]


def part_of_actors(people: Set[str], test_actors: Set[str]) -> Part | None:
    """The part of what people say to each other; None where one is of each.

    >>> part_of_actors({"a", "b"}, {"c"}), part_of_actors({"b", "c"}, {"c"})
    ('train', None)
    """
    if people <= test_actors:
        return "test"
    return None if people & test_actors else "train"
