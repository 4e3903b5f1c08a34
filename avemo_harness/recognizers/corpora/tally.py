"""Counts of what an importer left out."""

from __future__ import annotations

from collections.abc import Mapping

from avemo_harness.recognizers.corpora.base import Dropped


def left_out(reasons: Mapping[str, int]) -> tuple[Dropped, ...]:
    """The reasons that occurred, in the order given.

    >>> left_out({"label fear": 2, "no sound": 0})
    (Dropped(reason='label fear', count=2),)
    """
    return tuple(Dropped(reason, count) for reason, count in reasons.items() if count)
