"""Metrics against scikit-learn and plain loops, intervals against SciPy's bootstrap of the same clusters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from performance.reasoning import draw_turns
from performance.table import Row, median_cpu_s
from support.reasoning_reference import warped_distance

from avemo_harness.metrics import classification
from avemo_harness.metrics.bootstrap import RESAMPLES, ClusterBootstrap
from avemo_harness.metrics.dtw import dtw_distances

ANSWERS, LABELS, DIALOGUES, WARPED = 20_000, 4, 400, 500
TAKEN = "CPU, median of 5, in turn"


def metric_rows() -> Iterator[Row]:
    """Macro F1 of answers, and warped distances of trajectories."""
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(1)
    gold, found = rng.integers(0, LABELS, (2, ANSWERS)).tolist()
    every = np.ones(LABELS, dtype=bool)
    macro = partial(classification.macro_f1, labels=every)
    ours, theirs = median_cpu_s(
        lambda: macro(classification.confusion_counts(gold, found, LABELS)),
        lambda: f1_score(gold, found, average="macro"),
    )
    yield Row(f"macro F1 of {ANSWERS:,} answers", 1e3 * ours, "ms", 1e3 * theirs, "scikit-learn", TAKEN, 1.0, True)
    users, replies = ([turn.column("valence") for turn in draw_turns(seed)[:WARPED]] for seed in (1, 2))
    plain = [(x.tolist(), y.tolist()) for x, y in zip(users, replies, strict=True)]
    ours, theirs = median_cpu_s(
        lambda: dtw_distances(users, replies), lambda: [warped_distance(x, y) for x, y in plain], runs=3
    )
    name = f"exact warping of {WARPED} pairs"
    yield Row(name, 1e3 * ours, "ms", 1e3 * theirs, "plain loops", TAKEN, 1.0, True)


def bootstrap_rows() -> Iterator[Row]:
    """An interval of macro F1 over dialogues, equally many resamples."""
    from scipy import stats

    rng = np.random.default_rng(2)
    counts = rng.multinomial(5, np.full(LABELS * (LABELS + 1), 1 / 20), size=DIALOGUES).astype(np.float64)
    every = np.ones(LABELS, dtype=bool)

    def macro_f1(sums: np.ndarray) -> np.ndarray:
        return classification.macro_f1(sums.reshape(-1, LABELS, LABELS + 1), every)

    def of_drawn(index: np.ndarray, axis: int) -> np.ndarray:
        drawn = counts[index.astype(int)].sum(axis=axis if axis >= 0 else index.ndim + axis)
        return macro_f1(drawn.reshape(-1, LABELS * (LABELS + 1))).reshape(drawn.shape[:-1])

    def scipys() -> None:
        stats.bootstrap(
            (np.arange(DIALOGUES),), of_drawn, n_resamples=RESAMPLES, vectorized=True, method="percentile", rng=3
        )

    ours, theirs = median_cpu_s(lambda: ClusterBootstrap(counts).estimate(macro_f1), scipys)
    name = f"interval, {DIALOGUES} dialogues x {RESAMPLES:,} resamples"
    yield Row(name, 1e3 * ours, "ms", 1e3 * theirs, "scipy.stats.bootstrap", TAKEN, 1.0, True)
