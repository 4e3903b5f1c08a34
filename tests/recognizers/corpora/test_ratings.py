"""Ratings of several people to one gold standard, two values a second."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avemo_harness.metrics.agreement import concordance, series_moments
from avemo_harness.recognizers.corpora.ratings import fuse_ratings, interpolated, rater_weights, window_means

RATINGS = np.array([[0.0, 0.1, 0.6], [0.4, 0.5, 0.2], [0.8, 0.6, 0.7]])
"""By hand: rater means 0.4, 0.4, 0.5, grand mean 1.3 / 3; the consensus is 0.7 / 3, 1.1 / 3, 0.7."""


def test_the_mean_is_taken_over_the_raters_of_each_moment() -> None:
    np.testing.assert_allclose(fuse_ratings(RATINGS, "mean"), [0.7 / 3, 1.1 / 3, 0.7])


def test_a_rater_weighs_as_much_as_the_others_agree() -> None:
    # Variances 0.32, 0.14, 0.14 and covariances 0.20, 0.04, -0.02, all over 3; means differ by 0, 0.1, 0.1.
    pairs = {
        (0, 1): 2 * 0.20 / (0.32 + 0.14),
        (0, 2): 2 * 0.04 / (0.32 + 0.14 + 3 * 0.01),
        (1, 2): 2 * -0.02 / (0.14 + 0.14 + 3 * 0.01),
    }
    expected = [
        (pairs[0, 1] + pairs[0, 2]) / 2,
        (pairs[0, 1] + pairs[1, 2]) / 2,
        (pairs[0, 2] + pairs[1, 2]) / 2,
    ]
    np.testing.assert_allclose(rater_weights(RATINGS), expected)


def test_the_trajectory_lies_where_raters_who_agree_put_it() -> None:
    weights = rater_weights(RATINGS)
    centre = (weights * [0.4, 0.4, 0.5]).sum() / weights.sum()
    consensus = np.array([0.7 / 3, 1.1 / 3, 0.7])
    found = fuse_ratings(RATINGS, "avec2018")
    np.testing.assert_allclose(found, consensus - 1.3 / 3 + centre)
    assert found.mean() < consensus.mean(), "the third rater, who disagrees and rates higher, pulls less"


def test_a_moment_that_a_rater_left_out_is_the_mean_of_the_others() -> None:
    ratings = RATINGS.copy()
    ratings[1, 2] = np.nan
    np.testing.assert_allclose(fuse_ratings(ratings, "mean"), [0.7 / 3, 0.45, 0.7])
    assert np.isfinite(fuse_ratings(ratings, "avec2018")).all()


def test_a_moment_that_nobody_rated_is_not_a_number() -> None:
    ratings = RATINGS.copy()
    ratings[1] = np.nan
    for gold in ("avec2018", "mean"):
        assert np.isnan(fuse_ratings(ratings, gold)).tolist() == [False, True, False]


def test_a_rater_who_rated_nothing_has_no_say() -> None:
    silent = np.column_stack([RATINGS, np.full(3, np.nan)])
    np.testing.assert_allclose(fuse_ratings(silent, "avec2018"), fuse_ratings(RATINGS, "avec2018"))


@pytest.mark.parametrize("ratings", [np.full((3, 2), 0.3), np.array([[0.0, 1.0], [1.0, 0.0]]), RATINGS[:, :1]])
def test_without_agreement_it_is_the_mean(ratings: np.ndarray) -> None:
    np.testing.assert_allclose(fuse_ratings(ratings, "avec2018"), fuse_ratings(ratings, "mean"))


@given(hnp.arrays(np.float64, (8, 3), elements=st.integers(-20, 20).map(lambda n: n / 20)))
def test_weights_are_the_concordance_of_the_metrics(ratings: np.ndarray) -> None:
    pairs = np.array([[concordance(series_moments(a, b)) for a in ratings.T] for b in ratings.T])
    np.fill_diagonal(pairs, np.nan)
    for weight, row in zip(rater_weights(ratings), pairs, strict=True):
        known = row[np.isfinite(row)]
        assert weight == pytest.approx(known.mean(), abs=1e-6) if len(known) else np.isnan(weight)


def test_twenty_five_values_a_second_become_the_means_of_half_seconds() -> None:
    times = 0.04 * np.arange(51)
    found = window_means(times, times, 4)
    # 13, 12, 13, 12 values: 0 … 0.48, 0.52 … 0.96, 1.00 … 1.48, 1.52 … 1.96.
    np.testing.assert_allclose(found, [0.24, 0.74, 1.24, 1.74])


def test_half_seconds_without_a_value_lie_on_a_line_between_their_neighbours() -> None:
    found = window_means(np.array([0.1, 1.6]), np.array([0.0, 0.6]), 5)
    np.testing.assert_allclose(found, [0.0, 0.2, 0.4, 0.6, 0.6])


def test_values_beyond_the_end_are_left_out_however_late_they_are() -> None:
    times = np.array([0.1, 0.6, 1.0, 1e300, 1.7e308])
    np.testing.assert_allclose(window_means(times, np.arange(5.0), 2), [0.0, 1.0])


def test_values_that_are_not_numbers_are_left_out() -> None:
    times, values = np.array([0.1, 0.2, 0.6]), np.array([0.5, np.nan, np.nan])
    np.testing.assert_allclose(window_means(times, values, 2), [0.5, 0.5])


def test_one_value_a_second_is_drawn_through_the_middles_of_the_seconds() -> None:
    np.testing.assert_allclose(interpolated(np.array([0.5, 1.5]), np.array([0.0, 1.0]), 4), [0.0, 0.25, 0.75, 1.0])


def test_without_any_value_nothing_is_known() -> None:
    nothing = np.array([])
    assert np.isnan(window_means(nothing, nothing, 3)).all()
    assert np.isnan(interpolated(nothing, nothing, 3)).all()


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1, 1)), st.integers(1, 30))
def test_values_stay_within_those_given(values: np.ndarray, count: int) -> None:
    times = 0.37 * np.arange(len(values))
    for found in (window_means(times, values, count), interpolated(times, values, count)):
        assert found.shape == (count,)
        assert found.min() >= values.min() - 1e-12
        assert found.max() <= values.max() + 1e-12
