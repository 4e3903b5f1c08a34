"""Paired differences of statistics of items: those of sums where both apply, and intervals that hold the truth."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import Statistic
from avemo_harness.metrics.calibration import expected_calibration_error
from avemo_harness.metrics.paired import swap_test
from avemo_harness.metrics.paired_items import difference_of_inflated, swap_test_of_items

Floats = NDArray[np.float64]

CLUSTERS = np.repeat(np.arange(9), 3)


def mean_of(values: Floats) -> Statistic:
    return lambda weights: weights @ values / weights.sum(axis=-1)


def forecasts(rng: np.random.Generator, count: int, *overconfidences: float) -> list[tuple[Floats, Floats]]:
    """Confidences and hits of forecasters whose log odds are too large by a share, on items of common difficulty."""
    easy = rng.normal(1.2, 1.0, count)
    found = []
    for share in overconfidences:
        odds = easy + rng.normal(0, 0.7, count)
        hits = rng.random(count) < 1 / (1 + np.exp(-odds))
        found.append((1 / (1 + np.exp(-odds * (1 + share))), hits.astype(np.float64)))
    return found


def test_of_a_mean_the_test_is_that_of_sums() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 27))
    by_items = swap_test_of_items(mean_of(np.concatenate([first, second])), CLUSTERS)
    counts = [np.stack([np.bincount(CLUSTERS), np.bincount(CLUSTERS, side)], axis=1) for side in (first, second)]
    by_sums = swap_test(*counts, lambda sums: sums[:, 1] / sums[:, 0])
    assert by_items == pytest.approx(by_sums)
    assert by_items is not None
    assert 0 < by_items <= 1


def test_the_difference_is_the_second_side_less_the_first_and_equal_sides_differ_by_nothing() -> None:
    (low, hits), (high, others) = forecasts(np.random.default_rng(4), 27, 0.0, 2.0)
    first, second = (partial(expected_calibration_error, *side) for side in ((low, hits), (high, others)))
    ones = np.ones((1, 27))
    estimate = difference_of_inflated(first, second, CLUSTERS)
    assert estimate.value == pytest.approx(float(second(ones)[0] - first(ones)[0]))
    same = difference_of_inflated(first, first, CLUSTERS)
    assert same.value == 0
    assert same.ci_low is not None
    assert same.ci_high is not None
    assert same.ci_low <= 0 <= same.ci_high
    both = partial(expected_calibration_error, np.concatenate([low, low]), np.concatenate([hits, hits]))
    assert swap_test_of_items(both, CLUSTERS) == 1.0


def test_one_cluster_has_no_test() -> None:
    assert swap_test_of_items(mean_of(np.ones(6)), np.zeros(3, dtype=np.int64)) is None
    assert swap_test_of_items(mean_of(np.ones(0)), np.zeros(0, dtype=np.int64)) is None


def test_a_forecaster_that_is_far_too_sure_is_told_from_one_that_is_not() -> None:
    (low, hits), (high, others) = forecasts(np.random.default_rng(5), 300, 0.0, 2.0)
    clusters = np.arange(300)
    sides = (partial(expected_calibration_error, low, hits), partial(expected_calibration_error, high, others))
    estimate = difference_of_inflated(*sides, clusters)
    assert estimate.ci_low is not None
    assert estimate.ci_low > 0
    both = partial(expected_calibration_error, np.concatenate([low, high]), np.concatenate([hits, others]))
    p_value = swap_test_of_items(both, clusters)
    assert p_value is not None
    assert p_value < 0.01


@pytest.mark.slow
def test_the_interval_holds_the_truth_where_one_side_alone_is_inflated_by_noise() -> None:
    """The hard case: a calibrated side, all of whose error is noise, beside one that is too sure."""
    rng = np.random.default_rng(6)
    (low, hits), (high, others) = forecasts(rng, 1_000_000, 0.0, 0.8)
    truth = float(expected_calibration_error(high, others) - expected_calibration_error(low, hits))
    held = 0
    for _ in range(120):
        (low, hits), (high, others) = forecasts(rng, 60, 0.0, 0.8)
        sides = (partial(expected_calibration_error, low, hits), partial(expected_calibration_error, high, others))
        estimate = difference_of_inflated(*sides, np.arange(60))
        assert estimate.ci_low is not None
        assert estimate.ci_high is not None
        held += estimate.ci_low <= truth <= estimate.ci_high
    assert held >= 108
