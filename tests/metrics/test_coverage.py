"""The promise of intervals, on a few of the cells that `tests/performance/coverage.py` prints."""

from __future__ import annotations

import numpy as np
import pytest
from support.coverage_processes import KINDS, sizes_of

SIMULATIONS = 600
ERROR = 0.009
"""Standard error of a coverage of 0.95."""


def coverage(name: str, layout: str, dialogues: int) -> float:
    kind = next(one for one in KINDS if one.name == name)
    rng = np.random.default_rng(dialogues)
    held = 0
    for _ in range(SIMULATIONS):
        estimate = kind.draw(rng, sizes_of(layout, dialogues, rng))
        assert estimate.ci_low is not None
        assert estimate.ci_high is not None
        held += estimate.ci_low <= kind.truth <= estimate.ci_high
    return held / SIMULATIONS


@pytest.mark.parametrize(
    ("name", "layout", "dialogues"),
    [
        ("accuracy 0.95", "unequal", 12),
        ("accuracy 0.99", "sparse", 30),
        ("continuous mean (ECS)", "unequal", 20),
        ("mean with zeros (EBS)", "sparse", 12),
        ("difference of means", "unequal", 30),
        ("fusion gain (A = V)", "equal", 60),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_promise(name: str, layout: str, dialogues: int) -> None:
    assert coverage(name, layout, dialogues) >= 0.95 - 2.5 * ERROR
