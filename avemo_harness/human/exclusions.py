"""Whose ratings are left out, by the rules that the plan fixed before anyone rated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from avemo_harness.human.collected import CollectedRating
from avemo_harness.human.scales import SCALE_NAMES
from avemo_harness.human.study import ExclusionRules, Kind


def exclusions(ratings: Sequence[CollectedRating], rules: ExclusionRules) -> Mapping[str, tuple[str, ...]]:
    """Every rater who is left out, with the reasons."""
    of_raters: dict[str, list[CollectedRating]] = {}
    for one in ratings:
        of_raters.setdefault(one.rater, []).append(one)
    reasons = {rater: tuple(_reasons(given, rules)) for rater, given in sorted(of_raters.items())}
    return {rater: why for rater, why in reasons.items() if why}


def _reasons(given: Sequence[CollectedRating], rules: ExclusionRules) -> list[str]:
    reasons = []
    traps, golds = _missed(given, "trap", 1), _missed(given, "gold", rules.gold_distance)
    if traps > rules.failed_traps:
        reasons.append(f"{traps} traps failed")
    if golds > rules.missed_golds:
        reasons.append(f"{golds} gold items off by {rules.gold_distance} points or more")
    unrated = sum(not one.ratings for one in given)
    if unrated > rules.unrated:
        reasons.append(f"{unrated} items left out as not working")
    if _straight(given, rules.straight_line):
        reasons.append("one and the same rating throughout")
    shares = [
        one.seconds / one.item.seconds
        for one in given
        if one.ratings and one.seconds is not None and one.item.seconds > 0
    ]
    if shares and median(shares) < rules.least_time:
        reasons.append(f"half of the items rated within {median(shares):.2f} of their length")
    return reasons


def _missed(given: Sequence[CollectedRating], kind: Kind, distance: int) -> int:
    """Items of a kind that were rated at least so far from what was expected, on any scale."""
    return sum(
        any(
            abs(one.ratings[name] - expected) >= distance
            for name, expected in one.item.expected.items()
            if name in one.ratings
        )
        for one in given
        if one.item.kind == kind
    )


def _straight(given: Sequence[CollectedRating], from_items: int) -> bool:
    """Whether every scale has but one rating over that many rated items or more."""
    rated = [one.ratings for one in given if one.item.kind == "rated" and len(one.ratings) == len(SCALE_NAMES)]
    return len(rated) >= from_items and all(len({ratings[name] for ratings in rated}) == 1 for name in SCALE_NAMES)
