"""Ratings at any times, as two values a second."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avemo_harness.recognizers.corpora.ratings import interpolated, window_means


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
