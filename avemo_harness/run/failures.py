"""Items' errors that are alike: what a run is ended for, and what is said of those that failed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from avemo_harness.errors import HistoryError, UsageError
from avemo_harness.run.store import Record, RunStore

LONGEST_STREAK = 20
"""Items that fail alike one after the other and end a run whose user allows no more."""

_OWN_WORDS = re.compile(r"'[^']*'|\"[^\"]*\"|(?<!\S)\S*[/\\]\S*|(?<!\S)\S+\.\w{2,5}\b|\b[0-9a-f]{8,}\b|\d[\d.,]*")
"""Paths and files are looked for at beginnings of words alone: from anywhere, a long word takes quadratic time."""
_KIND_LENGTH = 200
_TOLD_LENGTH = 1_000
_CONSEQUENCE = f"{HistoryError.__name__}: "


def kind_of_error(error: str) -> str:
    """An item's error without what is the item's own: names, paths and numbers.

    >>> kind_of_error("MediaError: clips/d1/u0.mp4: no video after 2.5 s")
    'MediaError: … no video after … s'
    """
    return _OWN_WORDS.sub("…", error[: 10 * _KIND_LENGTH])[:_KIND_LENGTH]


class FailureStreak:
    """Counts items that fail alike one after the other.

    Args:
        allowed: failures of a run that its user accepts; a longer streak ends it, if it has `LONGEST_STREAK` items.
        before: what failed in the run already. It is asked last, so all of it comes in a row; failing once more, alike,
            it tells nothing new and is not counted.
    """

    def __init__(self, allowed: int = 0, before: Mapping[tuple[str, str], Record] = MappingProxyType({})) -> None:
        self._allowed = max(LONGEST_STREAK - 1, allowed)
        self._before = dict(before)
        self._kind, self._length = "", 0

    def add(self, records: Iterable[Record]) -> None:
        """Count records that came together.

        One failure counts once: items that failed since an earlier turn has no reply are not counted, and items that
        share a request are counted as one.

        Raises:
            UsageError: more items than allowed failed alike, and none was answered in between.
        """
        shared: set[str] = set()
        for record in records:
            if record.error is None:
                self._length = 0
            elif not record.error.startswith(_CONSEQUENCE) and record.key not in shared:
                shared.update(() if record.key is None else (record.key,))
                self._count(record.place, record.error)

    def _count(self, place: tuple[str, str], error: str) -> None:
        kind = kind_of_error(error)
        before = self._before.get(place)
        if before is not None and kind == kind_of_error(before.error or ""):
            return
        self._length = self._length + 1 if kind == self._kind else 1
        self._kind = kind
        if self._length > self._allowed:
            raise UsageError(
                f"{self._length} items in a row failed alike, so no more are asked: {_beginning(error)}; mend it "
                "and give the same command again, or let more of them fail with --max_errors"
            )


def read_errors(folder: Path) -> list[str]:
    """Errors of the items of a run that have no answer."""
    store = RunStore(folder)
    store.refresh()
    return [record.error for record in store.errors.values() if record.error is not None]


def describe_failures(errors: Sequence[str]) -> list[str]:
    """Sentences on the commonest kinds of error, the first of each kind in its own words; at most three."""
    kinds = [kind_of_error(error) for error in errors]
    first = dict(zip(reversed(kinds), reversed(errors), strict=True))
    return [
        f"{count} of {len(errors)} failed items: {_beginning(first[kind])}"
        for kind, count in Counter(kinds).most_common(3)
    ]


def _beginning(error: str) -> str:
    """An error as a sentence can quote it; the run keeps more."""
    return error if len(error) <= _TOLD_LENGTH else f"{error[:_TOLD_LENGTH]}…"
