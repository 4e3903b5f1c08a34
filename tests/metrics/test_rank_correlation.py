"""Rank correlations against SciPy's and a plain double loop, weighted as repeated items, resampled by cluster."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from avemo_harness.metrics.bootstrap import TOO_FEW
from avemo_harness.metrics.rank_correlation import (
    correlations_of_rows,
    kendall,
    kendall_estimate,
    spearman,
    spearman_estimate,
    weighted_ranks,
)

few_values = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=25)
"""Two judgements of each item, with many ties, and how often the item counts."""


def slow_kendall(x: np.ndarray, y: np.ndarray) -> float:
    alike = only_x = only_y = 0
    for i in range(len(x)):
        for j in range(i):
            a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
            alike += a * b
            only_x += a != 0
            only_y += b != 0
    return alike / np.sqrt(only_x * only_y) if only_x and only_y else float("nan")


@settings(max_examples=100, deadline=None)
@given(few_values)
def test_weights_are_repeated_items_and_values_those_of_scipy(items: list[tuple[int, int, int]]) -> None:
    x, y, weights = (np.array(column, dtype=np.float64) for column in zip(*items, strict=True))
    repeated = np.repeat(np.arange(len(x)), weights.astype(int))
    u, v = x[repeated], y[repeated]
    found = float(spearman(x, y, weights)), float(kendall(x, y, weights))
    if len(u) < 2 or np.ptp(u) == 0 or np.ptp(v) == 0:
        assert np.isnan(found).all()
        return
    assert found[0] == pytest.approx(spearmanr(u, v).statistic, abs=1e-12)
    assert found[1] == pytest.approx(kendalltau(u, v).statistic, abs=1e-12)
    assert found[1] == pytest.approx(slow_kendall(u, v), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(few_values)
def test_both_are_symmetric_follow_the_order_alone_and_turn_round_with_it(items: list[tuple[int, int, int]]) -> None:
    x, y, _ = (np.array(column, dtype=np.float64) for column in zip(*items, strict=True))
    for correlation in (spearman, kendall):
        np.testing.assert_allclose(correlation(y, x), correlation(x, y), atol=1e-12)
        np.testing.assert_allclose(correlation(np.exp(x), y), correlation(x, y), atol=1e-12)
        np.testing.assert_allclose(correlation(-x, y), -correlation(x, y), atol=1e-12)


def test_ranks_of_equal_values_are_their_mean() -> None:
    assert weighted_ranks(np.array([0.3, 0.1, 0.3]), np.ones(3)).tolist() == [2.5, 1.0, 2.5]
    assert weighted_ranks(np.array([0.3, 0.1, 0.2]), np.array([1.0, 2.0, 0.0])).tolist()[:2] == [3.0, 1.5]


def test_rounding_breaks_no_tie() -> None:
    assert 0.1 + 0.2 != 0.3
    assert kendall(np.array([0.1 + 0.2, 0.3, 0.5]), np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / np.sqrt(6))


def test_rows_of_few_systems_have_the_same_values() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, (2, 50, 5)).astype(float)
    rho, tau = correlations_of_rows(x, y)
    np.testing.assert_allclose(rho, [spearman(a, b) for a, b in zip(x, y, strict=True)], atol=1e-12)
    np.testing.assert_allclose(tau, [kendall(a, b) for a, b in zip(x, y, strict=True)], atol=1e-12)
    x[0, 0] = np.nan
    assert np.isnan([one[0] for one in correlations_of_rows(x, y)]).all()


def test_intervals_resample_clusters_whole() -> None:
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(20), 3)
    level = rng.normal(size=20)[clusters]
    x, y = level + 0.2 * rng.normal(size=60), level + 0.2 * rng.normal(size=60)
    for estimate, plain in ((spearman_estimate, spearman), (kendall_estimate, kendall)):
        whole, single = estimate(x, y, clusters), estimate(x, y, np.arange(60))
        assert whole.value == pytest.approx(float(plain(x, y)), abs=1e-12)
        assert (whole.n_clusters, single.n_clusters) == (20, 60)
        widths = [(one.ci_high or 0) - (one.ci_low or 0) for one in (whole, single)]
        assert widths[0] > widths[1] > 0
        assert estimate(x[:12], y[:12], clusters[:12]).note == TOO_FEW


def test_of_nothing_there_is_no_value() -> None:
    nothing = np.zeros(0)
    assert np.isnan(spearman(nothing, nothing))
    assert np.isnan(kendall(nothing, nothing))
    for estimate in (spearman_estimate, kendall_estimate):
        assert estimate(nothing, nothing, np.zeros(0, dtype=np.int64)).value is None


def test_resampled_values_are_those_of_the_drawn_items() -> None:
    """What the bootstrap of Kendall sums by clusters is what the items themselves give."""
    rng = np.random.default_rng(2)
    clusters = rng.integers(0, 6, 30)
    clusters[:6] = np.arange(6)
    x, y = rng.integers(0, 9, (2, 30)).astype(float)
    from avemo_harness.metrics.rank_correlation import _tau, pair_orders

    weights = rng.integers(0, 3, (10, 6)).astype(float)
    by_cluster = _tau(weights, pair_orders(x, y, clusters))
    np.testing.assert_allclose(by_cluster, kendall(x, y, weights[:, clusters]), atol=1e-12)
