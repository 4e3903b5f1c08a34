"""The training: items whose rating is known, rated with feedback, and what it takes to pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avemo_harness.human.screens import Feedback
from avemo_harness.human.study import Study, StudyItem

TRIES = 2
PASS_SHARE = 0.8
"""Of the expected ratings that must be met within one point; those of traps all exactly."""


def passed(items: Sequence[StudyItem], given: Sequence[Mapping[str, int | None]]) -> bool:
    """Whether ratings of the training items are good enough.

    Args:
        given: for every item the ratings by scale; None where the rater could not rate it, which counts as a miss.
    """
    pairs = [
        (item.kind, expected, ratings[name])
        for item, ratings in zip(items, given, strict=True)
        for name, expected in item.expected.items()
    ]
    listened = all(found == expected for kind, expected, found in pairs if kind == "trap")
    golds = [found is not None and abs(found - expected) <= 1 for kind, expected, found in pairs if kind != "trap"]
    return listened and sum(golds) >= PASS_SHARE * len(golds)


def feedback_on(study: Study, item: StudyItem, given: Mapping[str, int]) -> list[Feedback]:
    """What a rater is told of a training item, by scale; nothing where it was not rated."""
    why = study.lessons[item.item_id].why if item.item_id in study.lessons else {}
    return [
        Feedback(
            scale.title,
            given[scale.name],
            item.expected[scale.name],
            exact=item.kind == "trap",
            why=why.get(scale.name, ""),
        )
        for scale in study.scales
        if scale.name in item.expected and scale.name in given
    ]
