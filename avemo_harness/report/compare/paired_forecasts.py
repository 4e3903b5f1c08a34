"""Calibration of two sides that ranked the labels of the same items: what their probabilities promise and keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import Estimate, Statistic
from avemo_harness.metrics.calibration import expected_calibration_error
from avemo_harness.metrics.paired_items import difference_of_inflated, swap_test_of_items
from avemo_harness.report.compare.paired_counts import BRIER_SPAN, ItemPair, PairedMetric, mean_values, value_of
from avemo_harness.report.compare.records import Test

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CONFIDENCE = "confidence"
"""What scores of ranked answers hold beside their Brier score."""


@dataclass(frozen=True, slots=True, eq=False)
class PairedForecasts:
    """ECE of both sides, whose bins are made anew wherever items are resampled or swapped.

    Args:
        confidences: of each item's answer on either side, shape (2, N).
        hits: 1 where that answer is right, else 0, shape (2, N).
        clusters: the number of each item's cluster, shape (N,).
        n_undefined: items that one side did not rank.
    """

    confidences: Floats
    hits: Floats
    clusters: Integers
    n_undefined: int

    test: Test = "sign-flip"

    @property
    def n(self) -> int:
        return len(self.clusters)

    def values(self) -> tuple[float | None, float | None]:
        """ECE of the first and of the second side."""
        first, second = (value_of(side(np.ones((1, self.n)))) for side in self._sides())
        return first, second

    def difference(self) -> Estimate:
        """The second side's ECE less the first's."""
        return difference_of_inflated(*self._sides(), self.clusters)

    def p_value(self) -> float | None:
        """By swapping the sides of whole clusters."""
        both = partial(expected_calibration_error, self.confidences.ravel(), self.hits.ravel())
        return swap_test_of_items(both, self.clusters)

    def _sides(self) -> tuple[Statistic, Statistic]:
        first, second = (
            partial(expected_calibration_error, confidences, hits)
            for confidences, hits in zip(self.confidences, self.hits, strict=True)
        )
        return first, second


def calibration_pairs(pairs: Sequence[ItemPair]) -> dict[str, PairedMetric]:
    """ECE and Brier score of the items that both sides ranked; nothing where there is none."""
    ranked = [pair for pair in pairs if all(item.values.get(CONFIDENCE) is not None for item in pair)]
    if not ranked:
        return {}
    confidences = np.array([[pair[side].values[CONFIDENCE] for pair in ranked] for side in (0, 1)], dtype=np.float64)
    hits = np.array([[pair[side].verdict == "right" for pair in ranked] for side in (0, 1)], dtype=np.float64)
    clusters = np.unique([pair[0].cluster for pair in ranked], return_inverse=True)[1].astype(np.int64)
    ece = PairedForecasts(confidences, hits, clusters, len(pairs) - len(ranked))
    return {"ece": ece, **mean_values(pairs, ["brier"], BRIER_SPAN)}
