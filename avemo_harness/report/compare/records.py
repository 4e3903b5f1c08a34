"""What a comparison says. Differences are always the second side's value less the first's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from avemo_harness.metrics.bootstrap import Estimate

COMPARISON_SCHEMA = 1

Test = Literal["sign-flip", "McNemar"]
Family = Literal["table", "other"]


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """One metric on both sides, on the same items.

    Args:
        column: how the benchmark's table calls it; the metric's own name where it fills no column.
        first, second: the two values on the shared items.
        difference: with its 95 % interval.
        test: what `p_value` comes from: sign flips of dialogues, or McNemar's exact test where every item has a
            dialogue of its own.
        p_holm: adjusted for every test of its family in the comparison.
        detectable: the smallest true difference that 80 of 100 such runs would show at the 5 % level.
        n: items, or dialogues, with a value on both sides.
        n_undefined: those without one on at least one side.
        family: the metrics whose tests are adjusted together: the table's columns, or all others.
    """

    column: str
    metric: str
    first: float | None
    second: float | None
    difference: Estimate
    test: Test
    p_value: float | None
    p_holm: float | None
    detectable: float | None
    n: int
    n_undefined: int
    family: Family = "table"


@dataclass(frozen=True, slots=True)
class Flip:
    """An item that the two sides answered differently in a way that changes its verdict."""

    item: str
    gold: str
    first_label: str | None
    second_label: str | None
    first_verdict: str
    second_verdict: str


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two sides on one task, or on two conditions of one group.

    Args:
        title: the task, or the two conditions.
        n_shared: items scored on both sides.
        n_clusters: dialogues of those.
        only_first, only_second: items that only one side was asked or answered, in order.
        differences: by metric; none where replies cannot be scored.
        notes: what a reader must know beside them.
    """

    title: str
    first: str
    second: str
    n_shared: int
    n_clusters: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    differences: tuple[MetricDifference, ...]
    flips: tuple[Flip, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that `compare` says.

    Args:
        sides: the run directory of each label.
        notes: what differs although it was compared, and what was left out.
        tests: how many p-values those of the table's columns are adjusted for.
        other_tests: how many those of the other metrics are adjusted for.
    """

    sides: Mapping[str, str]
    contrasts: tuple[Contrast, ...]
    notes: tuple[str, ...]
    tests: int
    other_tests: int = 0

    def to_json(self) -> str:
        """The text of a JSON file, equal for equal runs."""
        content = {"schema_version": COMPARISON_SCHEMA, **asdict(self)}
        return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
