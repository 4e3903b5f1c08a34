"""Which recordings are trained on, which decide when it is enough, and which are evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.corpora.base import Part


class Grouped(Protocol):
    """A recording that belongs to a group, which must not be split, and maybe to a part of its corpus."""

    @property
    def group(self) -> str: ...

    @property
    def part(self) -> Part | None: ...


Recording = TypeVar("Recording", bound=Grouped)

SplitName = Literal["official", "subject-wise"]

_HELD_OUT_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Fold(Generic[Recording]):
    """Recordings of disjoint groups, but for `test`, which an official split may choose otherwise."""

    training: tuple[Recording, ...]
    validation: tuple[Recording, ...]
    test: tuple[Recording, ...]


def held_out_groups(recordings: Sequence[Recording], seed: int) -> set[str]:
    """A quarter of the groups, drawn, at least one, to decide when training is enough."""
    groups = sorted({one.group for one in recordings})
    count = max(1, round(_HELD_OUT_SHARE * len(groups)))
    return {groups[place] for place in np.random.default_rng(seed).permutation(len(groups))[:count]}


def without(recordings: Sequence[Recording], groups: set[str]) -> tuple[Recording, ...]:
    """The recordings of other groups."""
    return tuple(one for one in recordings if one.group not in groups)


def official_fold(recordings: Sequence[Recording], seed: int) -> Fold[Recording]:
    """The corpus' own parts; its validation part is evaluated where test ratings are not to be had.

    What is evaluated never decides when training is enough: where that part is needed for evaluation, a quarter of the
    training groups is held out instead.

    Raises:
        UsageError: the corpus has no such parts.
    """
    parts: dict[Part | None, tuple[Recording, ...]] = {
        part: tuple(one for one in recordings if one.part == part) for part in ("train", "validation", "test")
    }
    if not parts["train"] or not (parts["validation"] or parts["test"]):
        raise UsageError("the corpus has no official train part and validation or test part; use --split subject-wise")
    if parts["test"] and parts["validation"]:
        return Fold(parts["train"], parts["validation"], parts["test"])
    held_out = held_out_groups(parts["train"], seed)
    validation = tuple(one for one in parts["train"] if one.group in held_out)
    return Fold(without(parts["train"], held_out), validation, parts["test"] or parts["validation"])


def training_fold(recordings: Sequence[Recording], seed: int) -> Fold[Recording]:
    """What to train one recogniser on: as `official_fold` where the corpus has a train part, else a quarter of all
    groups decides when it is enough, and nothing is left to test.
    """
    if any(one.part == "train" for one in recordings):
        return official_fold(recordings, seed)
    held_out = held_out_groups(recordings, seed)
    return Fold(without(recordings, held_out), tuple(one for one in recordings if one.group in held_out), ())


def subject_wise_folds(recordings: Sequence[Recording], count: int, seed: int) -> tuple[Fold[Recording], ...]:
    """Groups dealt out to about `count` folds, each evaluated once by a recogniser that saw none of its groups.

    Raises:
        UsageError: fewer than three groups.
    """
    groups = sorted({one.group for one in recordings})
    if len(groups) < 3:
        raise UsageError(f"expected at least three speakers or groups of speakers to keep apart, found {len(groups)}")
    order = np.random.default_rng(seed).permutation(len(groups))
    # Whatever is evaluated leaves two groups, one to train on and one to stop by.
    count = min(max(count, -(-len(groups) // (len(groups) - 2))), len(groups))
    folds = []
    for number in range(count):
        test = {groups[place] for place in order[number::count]}
        rest = without(recordings, test)
        validation = held_out_groups(rest, seed + number)
        folds.append(
            Fold(
                without(rest, validation),
                tuple(one for one in rest if one.group in validation),
                tuple(one for one in recordings if one.group in test),
            )
        )
    return tuple(folds)
