"""Standardised input of a network: every column by its mean and spread over the rows that fill it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.recognizers.extractors.base import Features
from avemo_harness.recognizers.feature_set import MASK_BITS
from avemo_harness.recognizers.streams import View

_MOST_DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """How rows are standardised: float32 (width,) each; mask bits stay as they are."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def apply(self, rows: Features, shown: NDArray[np.bool_]) -> Features:
        """Standardise rows (T, width); columns that are not shown stay 0.

        Values are cut at 3 deviations: beyond, the network would go by what it never learned about.
        """
        scaled = np.clip((rows - self.mean) / self.deviation, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
        found: Features = np.where(shown, scaled, np.float32(0)).astype(np.float32)
        return found

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """For a file of weights."""
        return {"scaling.mean": self.mean, "scaling.deviation": self.deviation}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[np.float32]]) -> Scaling:
        """Take it out of what a file of weights holds; KeyError where it is not there."""
        return cls(tensors.pop("scaling.mean"), tensors.pop("scaling.deviation"))


def fit_scaling(recordings: Sequence[Mapping[View, Features]], shown: Callable[[View], NDArray[np.bool_]]) -> Scaling:
    """Mean and deviation of every column over the rows of the views that fill it; mask bits, the last, stay.

    Args:
        recordings: the rows of each by view, at least one.
        shown: which columns a view fills.
    """
    total = np.zeros((3, len(shown("both"))))
    for rows_of in recordings:
        # The views that fill every column that the recording can fill, each once.
        for view in ("both",) if "both" in rows_of else tuple(rows_of):
            rows, filled = rows_of[view].astype(np.float64), shown(view)
            total += np.stack([len(rows) * filled, rows.sum(axis=0) * filled, (rows**2).sum(axis=0) * filled])
    n = np.maximum(total[0], 1)
    mean = total[1] / n
    deviation = np.sqrt(np.maximum(total[2] / n - mean**2, 0))
    mean[-MASK_BITS:], deviation[-MASK_BITS:] = 0, 1
    # A column that hardly varies in training would blow up whatever differs from it later.
    deviation = np.where(deviation > 1e-4, deviation, 1.0)
    return Scaling(mean.astype(np.float32), deviation.astype(np.float32))
