"""Intervals by bootstrap: widened for few clusters, bounded where nothing varies, honest about coverage."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from avemo_harness.metrics.bootstrap import (
    APPROXIMATE,
    CONSTANT,
    TOO_FEW,
    ClusterBootstrap,
    Estimate,
    ItemBootstrap,
    Statistic,
    bounded_at_edges,
    interval_of_gain,
    interval_of_inflated,
    percentile_interval,
    widening,
)
from avemo_harness.metrics.calibration import expected_calibration_error


def share(sums: np.ndarray) -> np.ndarray:
    return np.where(sums[:, 1] > 0, sums[:, 0] / np.maximum(sums[:, 1], 1), np.nan)


def cluster_estimate(counts: np.ndarray, statistic: Statistic) -> Estimate:
    return ClusterBootstrap(counts).estimate(statistic)


def counts_of(outcomes: np.ndarray) -> np.ndarray:
    """Right answers and items of each cluster, from a (clusters, turns) table of outcomes."""
    return np.stack([outcomes.sum(axis=1), np.full(len(outcomes), outcomes.shape[1])], axis=1).astype(float)


def test_nothing_gives_nothing_and_one_cluster_gives_no_interval() -> None:
    assert cluster_estimate(np.zeros((0, 2)), share) == Estimate(None, None, None)
    assert cluster_estimate(np.array([[1.0, 2.0]]), share) == Estimate(0.5, None, None, 1, TOO_FEW)
    assert cluster_estimate(np.zeros((3, 2)), share) == Estimate(None, None, None)


def test_four_clusters_are_too_few_for_an_interval_and_five_are_not() -> None:
    counts = counts_of(np.random.default_rng(1).random((5, 8)) < 0.6)
    assert cluster_estimate(counts[:4], share).note == TOO_FEW
    five = cluster_estimate(counts, share)
    assert five.ci_low is not None
    assert (five.n_clusters, five.note) == (5, None)


def test_what_is_the_same_in_every_cluster_has_no_interval() -> None:
    assert cluster_estimate(np.tile([1.0, 4.0], (30, 1)), share) == Estimate(0.25, None, None, 30, CONSTANT)


def test_a_score_that_only_rare_resamples_change_has_no_interval_of_no_width() -> None:
    # The recall of a label that 6 of 40 clusters have, found always: undefined, so 0, where none of them is drawn.
    counts = np.array([[1.0, 1.0]] * 6 + [[0.0, 1.0]] * 34)
    found = cluster_estimate(counts, lambda sums: np.where(sums[:, 0] > 0, 0.25, 0.0))
    assert found == Estimate(0.25, None, None, 40, CONSTANT)


@pytest.mark.parametrize("clusters", [5, 40, 400])
def test_at_an_end_of_the_range_the_other_end_is_that_of_hits_without_a_miss(clusters: int) -> None:
    exact = stats.binomtest(clusters, clusters).proportion_ci(method="exact")
    constant = Estimate(1.0, None, None, clusters, CONSTANT)
    assert bounded_at_edges(constant) == Estimate(1.0, pytest.approx(exact.low), 1.0, clusters, None)
    none = replace(constant, value=0.0)
    assert bounded_at_edges(none).ci_high == pytest.approx(1 - exact.low)
    assert bounded_at_edges(none, high=2.0, note=APPROXIMATE) == Estimate(
        0.0, 0.0, pytest.approx(2 * (1 - exact.low)), clusters, APPROXIMATE
    )


def test_what_varies_or_is_constant_between_the_ends_gets_no_bound() -> None:
    for estimate in (
        Estimate(0.5, None, None, 9, CONSTANT),
        Estimate(1.0, 0.9, 1.0, 9),
        Estimate(1.0, None, None, 3, TOO_FEW),
    ):
        assert bounded_at_edges(estimate) == estimate


@given(st.integers(1, 60), st.integers(0, 40))
def test_clusters_without_counts_change_nothing(clusters: int, empty: int) -> None:
    rng = np.random.default_rng(clusters)
    counts = counts_of(rng.random((clusters, 3)) < 0.6)
    padded = rng.permutation(np.vstack([counts, np.zeros((empty, 2))]))
    kept = padded[padded.any(axis=1)]
    assert cluster_estimate(padded, share) == cluster_estimate(kept, share)
    assert cluster_estimate(padded, share).n_clusters == clusters


def test_the_gain_over_the_larger_of_two_equals_reaches_higher_than_its_percentiles() -> None:
    rng = np.random.default_rng(5)
    counts = np.concatenate([np.ones((200, 1)), rng.random((200, 3)) < (0.7, 0.6, 0.6)], axis=1)

    def gain(sums: np.ndarray) -> np.ndarray:
        return (sums[:, 1] - np.maximum(sums[:, 2], sums[:, 3])) / sums[:, 0]

    percentile, corrected = (
        ClusterBootstrap(counts).estimate(gain, interval, low=-1.0)
        for interval in (percentile_interval, interval_of_gain)
    )
    assert corrected.ci_high > percentile.ci_high
    assert corrected.ci_low > percentile.ci_low
    assert corrected.ci_low <= corrected.value <= corrected.ci_high


def test_the_same_counts_always_give_the_same_interval() -> None:
    counts = counts_of(np.random.default_rng(1).random((40, 3)) < 0.6)
    assert cluster_estimate(counts, share) == cluster_estimate(counts, share)


def test_the_interval_holds_the_value_and_stays_in_range() -> None:
    counts = counts_of(np.random.default_rng(2).random((5, 4)) < 0.7)
    estimate = cluster_estimate(counts, share)
    assert 0.0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1.0


@pytest.mark.parametrize(("clusters", "factor"), [(5, 1.584), (20, 1.096), (21, 1.091), (400, 1.004)])
def test_widening_follows_students_t_at_every_number_of_clusters(clusters: int, factor: float) -> None:
    expected = stats.t.ppf(0.975, clusters - 1) / 1.96 * np.sqrt(clusters / (clusters - 1))
    assert widening(clusters) == pytest.approx(expected)
    assert widening(clusters) == pytest.approx(factor, abs=5e-4)


@pytest.mark.parametrize("clusters", [10, 50])
def test_coverage_of_clustered_answers_is_near_the_nominal_95_percent(clusters: int) -> None:
    rng = np.random.default_rng(clusters)
    held = 0
    for _ in range(200):
        skill = np.clip(rng.beta(1.4, 1.4, clusters), 0, 1)
        outcomes = rng.random((clusters, 4)) < skill[:, None]
        estimate = cluster_estimate(counts_of(outcomes), share)
        held += estimate.ci_low <= 0.5 <= estimate.ci_high
    assert 0.90 <= held / 200 <= 0.99


def test_resampling_items_instead_of_dialogues_would_be_too_narrow() -> None:
    rng = np.random.default_rng(3)
    outcomes = np.repeat(rng.random((60, 1)) < 0.5, 6, axis=1)
    clustered = cluster_estimate(counts_of(outcomes), share)
    items = cluster_estimate(counts_of(outcomes.reshape(-1, 1)), share)
    assert (clustered.ci_high - clustered.ci_low) > 1.8 * (items.ci_high - items.ci_low)


@pytest.mark.parametrize("clusters", [7, 40])
def test_items_weighted_by_their_clusters_give_the_interval_of_summed_counts(clusters: int) -> None:
    outcomes = (np.random.default_rng(4).random((clusters, 3)) < 0.6).astype(float)

    def mean(weights: np.ndarray) -> np.ndarray:
        return weights @ outcomes.ravel() / weights.sum(axis=-1)

    items = ItemBootstrap(np.repeat(np.arange(clusters), 3)).estimate(mean)
    expected = cluster_estimate(counts_of(outcomes), share)
    assert (items.value, items.ci_low, items.ci_high) == pytest.approx(
        (expected.value, expected.ci_low, expected.ci_high)
    )


def test_items_of_nothing_or_one_cluster_or_an_undefined_statistic_give_no_interval() -> None:
    def total(weights: np.ndarray) -> np.ndarray:
        return weights.sum(axis=-1)

    assert ItemBootstrap(np.zeros(0, dtype=int)).estimate(total) == Estimate(None, None, None)
    assert ItemBootstrap(np.zeros(2, dtype=int)).estimate(total) == Estimate(2.0, None, None, 1, TOO_FEW)
    undefined = ItemBootstrap(np.arange(7)).estimate(lambda weights: np.full(len(weights), np.nan))
    assert undefined == Estimate(None, None, None)


def test_percentiles_never_hold_the_true_error_of_a_calibrated_forecaster_and_the_interval_of_inflated_does() -> None:
    rng = np.random.default_rng(6)
    runs, dialogues = 40, 100
    bootstrap = ItemBootstrap(np.repeat(np.arange(dialogues), 3))
    lowest = {percentile_interval: [], interval_of_inflated: []}
    for _ in range(runs):
        confidences = rng.uniform(0.25, 1.0, 3 * dialogues)
        hits = (rng.random(3 * dialogues) < confidences).astype(float)
        for interval, lows in lowest.items():
            estimate = bootstrap.estimate(partial(expected_calibration_error, confidences, hits), interval)
            assert estimate.ci_low <= estimate.value <= estimate.ci_high
            lows.append(estimate.ci_low)
    assert np.mean(np.array(lowest[percentile_interval]) < 0.005) == 0.0
    assert np.mean(np.array(lowest[interval_of_inflated]) < 0.005) >= 0.85


def test_a_large_error_is_held_by_its_interval_at_nearly_the_nominal_rate() -> None:
    rng = np.random.default_rng(7)
    runs, dialogues, true_error = 60, 60, 0.2
    bootstrap = ItemBootstrap(np.repeat(np.arange(dialogues), 3))
    held = 0
    for _ in range(runs):
        confidences = rng.uniform(0.5, 1.0, 3 * dialogues)
        hits = (rng.random(3 * dialogues) < confidences - true_error).astype(float)
        statistic = partial(expected_calibration_error, confidences, hits)
        estimate = bootstrap.estimate(statistic, interval_of_inflated)
        held += estimate.ci_low <= true_error <= estimate.ci_high
    assert held / runs >= 0.9
