"""What seeing and hearing together adds over the better of the two, on the same turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import ClusterBootstrap
from avemo_harness.scorers.base import Metric, ScoreLine

Floats = NDArray[np.float64]


def fusion_gain(both: Sequence[ScoreLine], audio: Sequence[ScoreLine], video: Sequence[ScoreLine]) -> Metric:
    """``Acc_AV - max(Acc_A, Acc_V)`` over the turns scored under all three conditions, in [-1, 1].

    The difference is recomputed in each resample of dialogues, so its interval is a paired one.
    """
    verdicts = [
        {line.item.item_id: line for line in lines if line.verdict in ("right", "wrong")}
        for lines in (both, audio, video)
    ]
    shared = sorted(set(verdicts[0]) & set(verdicts[1]) & set(verdicts[2]))
    clusters: dict[str, Floats] = {}
    for item_id in shared:
        lines = [by_item[item_id] for by_item in verdicts]
        counts = clusters.setdefault(lines[0].item.cluster, np.zeros(4))
        counts += [1.0, *(float(line.verdict == "right") for line in lines)]
    counts_by_cluster = np.stack([clusters[name] for name in sorted(clusters)]) if clusters else np.zeros((0, 4))
    estimate = ClusterBootstrap(counts_by_cluster).estimate(_gain, low=-1.0)
    invalid = sum(verdicts[0][item_id].label is None for item_id in shared)
    errors = sum(line.verdict == "error" for lines in (both, audio, video) for line in lines)
    return Metric(estimate.value, estimate.ci_low, estimate.ci_high, len(shared), invalid, errors)


def _gain(sums: Floats) -> Floats:
    n = np.where(sums[:, 0] > 0, sums[:, 0], np.nan)
    gain: Floats = (sums[:, 1] - np.maximum(sums[:, 2], sums[:, 3])) / n
    return gain
