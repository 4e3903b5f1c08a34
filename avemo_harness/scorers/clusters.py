"""Counts per cluster, the input of every interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from avemo_harness.scorers.base import ScoreLine

Floats = NDArray[np.float64]


def by_cluster(lines: Sequence[ScoreLine], count: Callable[[Sequence[ScoreLine]], Floats]) -> Floats:
    """Count the scored lines of each cluster.

    Args:
        count: gives a vector of K counts for the lines of one cluster.

    Returns:
        Shape (D, K), clusters in order of their names; errors and missing items are left out, as are clusters of
        nothing else.
    """
    groups: dict[str, list[ScoreLine]] = {}
    for line in lines:
        if line.verdict not in ("error", "missing"):
            groups.setdefault(line.item.cluster, []).append(line)
    if not groups:
        return np.zeros((0, len(count([]))))
    return np.stack([count(groups[name]) for name in sorted(groups)])
