"""What seeing and hearing together adds to either alone, on the same turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import ClusterBootstrap, Estimate, interval_of_gain
from avemo_harness.metrics.paired import around_zero, difference
from avemo_harness.scorers.base import Metric, ScoreLine, metric_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fusion:
    """Accuracy with both streams less that with one, in [-1, 1], over the turns scored under all three conditions.

    Args:
        gain: ``Acc_AV - max(Acc_A, Acc_V)``; the smaller of the other two.
        av_minus_a: ``Acc_AV - Acc_A``.
        av_minus_v: ``Acc_AV - Acc_V``.
    """

    gain: Metric
    av_minus_a: Metric
    av_minus_v: Metric


def compare_streams(both: Sequence[ScoreLine], audio: Sequence[ScoreLine], video: Sequence[ScoreLine]) -> Fusion:
    """Compare the answers under full_av, audio_only and video_only; all intervals are paired ones over dialogues."""
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
    table = np.stack([clusters[name] for name in sorted(clusters)]) if clusters else np.zeros((0, 4))
    invalid = sum(verdicts[0][item_id].label is None for item_id in shared)
    errors = sum(line.verdict == "error" for lines in (both, audio, video) for line in lines)

    return Fusion(*(metric_of(estimate, len(shared), invalid, errors) for estimate in fusion_estimates(table)))


def fusion_estimates(counts: Floats) -> tuple[Estimate, Estimate, Estimate]:
    """The gain over the larger of two accuracies, and the differences from either.

    Args:
        counts: items, and how many are right with both streams, with sound, with the picture, of each cluster: (D, 4).
    """
    both = counts[:, [0, 1]]
    return (
        around_zero(ClusterBootstrap(counts).estimate(_gain, interval_of_gain, low=-1.0)),
        difference(counts[:, [0, 2]], both, _accuracy),
        difference(counts[:, [0, 3]], both, _accuracy),
    )


def _gain(sums: Floats) -> Floats:
    gain: Floats = (sums[:, 1] - np.maximum(sums[:, 2], sums[:, 3])) / sums[:, 0]
    return gain


def _accuracy(sums: Floats) -> Floats:
    accuracy: Floats = sums[:, 1] / sums[:, 0]
    return accuracy
