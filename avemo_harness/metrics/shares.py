"""Exact intervals of shares of items that come in clusters, on an effective number of items, and those of label scores.

A bootstrap of a share near 0 or 1 cannot draw the hits or misses that the data happen to lack: of 12 dialogues it
covers 0.83 at a true share of 0.95 and 0.33 at 0.99, where 0.95 is promised.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import (
    APPROXIMATE,
    CONSTANT,
    FEWEST_CLUSTERS,
    TOO_FEW,
    ClusterBootstrap,
    Estimate,
    Statistic,
    bounded_at_edges,
    edge_bound,
    interval_of_biased,
    t_quantile,
)

Floats = NDArray[np.float64]

_LEVEL = 0.05


def share_estimate(hits: Floats, items: Floats) -> Estimate:
    """Hits / items in [0, 1], with the interval of Korn and Graubard (Survey Methodology 24, 1998).

    It is the exact interval of Clopper and Pearson (1934) for as many independent items as would give the variance that
    the clusters show, lowered for the few clusters that the variance is known from. No lower end stands above
    `edge_bound`, no upper end below its complement: next to 0 or 1 the variance between clusters does not show.

    Args:
        hits, items: of each cluster, shape (D,); clusters without items have no value and do not count.

    Returns:
        No value without items; no interval with fewer than 5 clusters (`TOO_FEW`), nor where the share is the same in
        all and neither 0 nor 1 (`CONSTANT`).

    >>> all_right = share_estimate(np.ones(40), np.ones(40))
    >>> round(all_right.ci_low, 3), all_right.ci_high
    (0.912, 1.0)
    """
    hits, items = hits[items > 0], items[items > 0]
    clusters, total = len(items), float(items.sum())
    if clusters == 0:
        return Estimate(None, None, None)
    share = float(hits.sum()) / total
    if clusters < FEWEST_CLUSTERS:
        return Estimate(share, None, None, clusters, TOO_FEW)
    if 0 < share < 1 and (hits * total == hits.sum() * items).all():
        return Estimate(share, None, None, clusters, CONSTANT)
    low, high = _exact_interval(share, _effective_items(hits, items))
    bound = edge_bound(clusters)
    return Estimate(share, min(low, bound, share), max(high, 1 - bound, share), clusters)


def _effective_items(hits: Floats, items: Floats) -> float:
    """Independent items that tell as much about the share as the clusters do: at most as many as there are."""
    clusters, total = len(items), float(items.sum())
    if total == clusters:
        return total
    share = hits.sum() / total
    # The variance of a ratio, linearised (Cochran, Sampling Techniques, 1977, section 6.3).
    variance = clusters / (clusters - 1) * float(((hits - share * items) ** 2).sum()) / total**2
    independent = float(share * (1 - share)) / variance if variance > 0 else total
    return min(total, independent) * (1.96 / t_quantile(clusters)) ** 2


def _exact_interval(share: float, items: float) -> tuple[float, float]:
    """The interval of Clopper and Pearson, by its beta quantiles, which take any number of items."""
    from scipy.special import betaincinv

    hits, misses = share * items, (1 - share) * items
    low = float(betaincinv(hits, misses + 1, _LEVEL / 2)) if share > 0 else 0.0
    high = float(betaincinv(hits + 1, misses, 1 - _LEVEL / 2)) if share < 1 else 1.0
    return low, high


def accuracy_estimate(counts: Floats) -> Estimate:
    """The share of right answers, from the confusion counts of each cluster, shape (D, L, L + 1)."""
    return share_estimate(np.trace(counts[..., :-1], axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def score_estimate(bootstrap: ClusterBootstrap, statistic: Statistic) -> Estimate:
    """A score in [0, 1] of right and wrong labels that is no share, such as macro F1 or a mean of recalls.

    The bootstrap allows for the score's bias. As for shares, no lower end stands above `edge_bound`, no upper end below
    its complement; where that decides an end, the note is `APPROXIMATE`.
    """
    estimate = bounded_at_edges(bootstrap.estimate(statistic, interval_of_biased), note=APPROXIMATE)
    if estimate.ci_low is None or estimate.ci_high is None:
        return estimate
    bound = edge_bound(estimate.n_clusters)
    if estimate.ci_low <= bound and estimate.ci_high >= 1 - bound:
        return estimate
    low, high = min(estimate.ci_low, bound), max(estimate.ci_high, 1 - bound)
    return replace(estimate, ci_low=low, ci_high=high, note=APPROXIMATE)
