"""Intervals of shares: exact where items are independent, as wide as clusters are alike, bounded at 0 and 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from avemo_harness.metrics.bootstrap import (
    APPROXIMATE,
    CONSTANT,
    TOO_FEW,
    ClusterBootstrap,
    Estimate,
    interval_of_biased,
    percentile_interval,
)
from avemo_harness.metrics.classification import accuracy, macro_f1
from avemo_harness.metrics.shares import Floats, accuracy_estimate, score_estimate, share_estimate

clusters_of_items = st.lists(
    st.integers(0, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=5, max_size=40
)


def hits_and_items(pairs: list[tuple[int, int]]) -> tuple[Floats, Floats]:
    table = np.array(pairs, dtype=np.float64)
    return table[:, 0], table[:, 1]


@pytest.mark.parametrize("hits", [0, 1, 7, 20, 39, 40])
def test_of_clusters_of_one_item_the_interval_is_that_of_clopper_and_pearson(hits: int) -> None:
    exact = stats.binomtest(hits, 40).proportion_ci(method="exact")
    found = share_estimate((np.arange(40) < hits).astype(float), np.ones(40))
    assert (found.ci_low, found.ci_high) == (pytest.approx(exact.low), pytest.approx(exact.high))


def test_clusters_that_answer_as_one_count_as_one_item_each() -> None:
    """30 of 60 clusters right throughout: four items a cluster tell little more than one."""
    hits = (np.arange(60) < 30).astype(float)
    one, four = share_estimate(hits, np.ones(60)), share_estimate(4 * hits, np.full(60, 4.0))
    assert one.ci_low is not None
    assert four.ci_low == pytest.approx(one.ci_low, abs=0.01)


def test_clusters_of_independent_answers_count_nearly_all_their_items() -> None:
    hits = np.random.default_rng(1).binomial(4, 0.5, 200).astype(float)
    found = share_estimate(hits, np.full(200, 4.0))
    exact = stats.binomtest(int(hits.sum()), 800).proportion_ci(method="exact")
    assert found.ci_low == pytest.approx(exact.low, abs=0.01)
    assert found.ci_high == pytest.approx(exact.high, abs=0.01)


def test_the_effective_number_of_items_is_that_of_the_variance_between_clusters() -> None:
    hits, items = np.array([4.0, 4.0, 3.0, 0.0, 2.0, 4.0, 1.0]), np.array([4.0, 5.0, 4.0, 3.0, 2.0, 6.0, 4.0])
    share = 18 / 28
    variance = 7 / 6 * ((hits - share * items) ** 2).sum() / 28**2
    effective = share * (1 - share) / variance * (1.96 / stats.t.ppf(0.975, 6)) ** 2
    found = share_estimate(hits, items)
    assert found.ci_low == pytest.approx(stats.beta.ppf(0.025, share * effective, (1 - share) * effective + 1))
    assert found.ci_high == pytest.approx(stats.beta.ppf(0.975, share * effective + 1, (1 - share) * effective))


@pytest.mark.parametrize("clusters", [5, 12, 40])
def test_no_end_stands_nearer_to_0_or_1_than_the_clusters_allow_also_where_one_item_is_wrong(clusters: int) -> None:
    items = np.full(clusters, 30.0)
    for wrong in (0, 1):
        hits = items.copy()
        hits[0] -= wrong
        found, mirrored = share_estimate(hits, items), share_estimate(items - hits, items)
        assert found.ci_low is not None
        assert found.ci_low <= 0.025 ** (1 / clusters)
        assert mirrored.ci_high == pytest.approx(1 - found.ci_low)


def test_four_clusters_have_no_interval_and_no_items_no_value() -> None:
    assert share_estimate(np.ones(4), np.ones(4)) == Estimate(1.0, None, None, 4, TOO_FEW)
    assert share_estimate(np.zeros(9), np.zeros(9)) == Estimate(None, None, None)


def test_a_share_that_is_the_same_in_every_cluster_has_an_interval_at_0_and_1_alone() -> None:
    items = np.array([2.0, 4.0, 6.0, 2.0, 4.0])
    assert share_estimate(items / 2, items) == Estimate(0.5, None, None, 5, CONSTANT)
    assert share_estimate(items, items).ci_low == pytest.approx(0.025 ** (1 / 5))


@given(clusters_of_items, st.randoms(use_true_random=False))
def test_it_holds_the_value_is_symmetric_and_depends_on_no_order_and_no_empty_cluster(pairs, random) -> None:
    hits, items = hits_and_items(pairs)
    found = share_estimate(hits, items)
    assume(found.ci_low is not None)
    assert 0 <= found.ci_low <= found.value <= found.ci_high <= 1
    mirrored = share_estimate(items - hits, items)
    assert (mirrored.ci_low, mirrored.ci_high) == pytest.approx((1 - found.ci_high, 1 - found.ci_low), abs=1e-9)
    random.shuffle(pairs)
    again = share_estimate(*hits_and_items([*pairs, (0, 0)]))
    assert (again.ci_low, again.ci_high) == pytest.approx((found.ci_low, found.ci_high), abs=1e-9)
    assert again.n_clusters == int((items > 0).sum())


def test_accuracy_is_a_share_of_confusion_counts() -> None:
    counts = np.random.default_rng(3).integers(0, 4, (12, 4, 5)).astype(float)
    found = accuracy_estimate(counts)
    assert found.value == pytest.approx(float(accuracy(counts.sum(axis=0))))
    assert found == share_estimate(counts[:, range(4), range(4)].sum(axis=1), counts.sum(axis=(1, 2)))


def two_label_counts(clusters: int, wrong: int) -> Floats:
    """Confusion counts of clusters with both labels, all right but for one label in the first `wrong` of them."""
    counts = np.tile(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), (clusters, 1, 1))
    counts[:wrong, 0] = [0.0, 1.0, 0.0]
    return counts.reshape(clusters, -1)


def two_label_f1(sums: Floats) -> Floats:
    return macro_f1(sums.reshape(-1, 2, 3), np.array([True, True]))


@pytest.mark.parametrize("wrong", [0, 1])
def test_no_end_of_macro_f1_stands_nearer_to_1_than_the_clusters_allow(wrong: int) -> None:
    found = score_estimate(ClusterBootstrap(two_label_counts(12, wrong)), two_label_f1)
    assert found.ci_low is not None
    assert found.ci_low <= 0.025 ** (1 / 12) + 1e-12
    assert found.ci_high == pytest.approx(1.0)
    assert found.note == APPROXIMATE


def test_the_interval_of_a_score_in_the_middle_of_its_range_is_that_of_the_bootstrap() -> None:
    bootstrap = ClusterBootstrap(two_label_counts(40, 12))
    assert score_estimate(bootstrap, two_label_f1) == bootstrap.estimate(two_label_f1, interval_of_biased)


def test_a_score_that_resampling_lowers_gets_a_higher_upper_end_and_no_other_lower_one() -> None:
    drawn = np.random.default_rng(0).normal(0.45, 0.05, 2_000)
    (low, high), percentiles = interval_of_biased(0.5, drawn), percentile_interval(0.5, drawn)
    assert low == percentiles[0]
    assert high == pytest.approx(percentiles[1] + 2 * (0.5 - drawn.mean()))


def test_a_score_of_four_clusters_has_no_interval() -> None:
    assert score_estimate(ClusterBootstrap(two_label_counts(4, 1)), two_label_f1).note == TOO_FEW
