"""Time warping: exact, symmetric, blind to speed, and the same for one pair as for thousands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reasoning_reference import warped_distance

from avemo_harness.metrics.dtw import dtw_distance, dtw_distances

values = st.floats(-1, 1, allow_nan=False, width=64)
series = st.lists(values, min_size=1, max_size=12).map(np.array)


@given(st.lists(st.tuples(series, series), min_size=1, max_size=8))
def test_a_batch_equals_the_double_loop_over_each_pair_to_the_last_bit(
    pairs: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    found = dtw_distances([x for x, _ in pairs], [y for _, y in pairs])
    assert found.tolist() == [warped_distance(x.tolist(), y.tolist()) for x, y in pairs]


@given(series, series, st.integers(0, 12))
def test_a_band_equals_the_double_loop_within_it(x: np.ndarray, y: np.ndarray, width: int) -> None:
    band = max(width, abs(len(x) - len(y)))
    assert dtw_distance(x, y, band) == warped_distance(x.tolist(), y.tolist(), band)


def test_thousands_of_pairs_in_one_batch_equal_single_pairs() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 20, size=(5_000, 2))
    xs, ys = ([rng.random(length) for length in side] for side in lengths.T)
    bands = [abs(len(x) - len(y)) + int(more) for x, y, more in zip(xs, ys, rng.integers(0, 5, 5_000), strict=True)]
    unbounded, bounded = dtw_distances(xs, ys), dtw_distances(xs, ys, bands)
    for pair in range(0, 5_000, 37):
        assert unbounded[pair] == dtw_distance(xs[pair], ys[pair])
        assert bounded[pair] == dtw_distance(xs[pair], ys[pair], bands[pair])


@given(series, series)
def test_it_is_symmetric_and_never_negative(x: np.ndarray, y: np.ndarray) -> None:
    assert dtw_distance(x, y) == dtw_distance(y, x) >= 0


@given(series, st.lists(st.integers(1, 4), min_size=12, max_size=12))
def test_a_series_is_at_no_distance_from_itself_however_slowly_it_is_played(x: np.ndarray, speeds: list[int]) -> None:
    assert dtw_distance(x, x) == 0
    assert dtw_distance(x, np.repeat(x, speeds[: len(x)])) == 0


@given(series, series, st.integers(1, 4), st.integers(1, 4))
def test_repeated_values_on_one_side_never_lower_the_distance(
    x: np.ndarray, y: np.ndarray, slower: int, slowest: int
) -> None:
    """A path through the slowed pair is one through the pair itself, with cells walked more than once."""
    assert dtw_distance(np.repeat(x, slower), np.repeat(y, slowest)) >= dtw_distance(x, y) - 1e-12


@given(series, series, st.randoms(use_true_random=False))
def test_no_monotone_path_is_shorter(x: np.ndarray, y: np.ndarray, random: object) -> None:
    i = j = 0
    cost = abs(x[0] - y[0])
    while (i, j) != (len(x) - 1, len(y) - 1):
        steps = [(a, b) for a, b in ((1, 0), (0, 1), (1, 1)) if i + a < len(x) and j + b < len(y)]
        a, b = random.choice(steps)  # type: ignore[attr-defined]  # (hypothesis names no type for it)
        i, j = i + a, j + b
        cost += abs(x[i] - y[j])
    assert dtw_distance(x, y) <= cost + 1e-12


@given(series, series, st.integers(0, 12))
def test_a_band_only_adds_to_the_distance_until_it_is_as_wide_as_the_series(
    x: np.ndarray, y: np.ndarray, width: int
) -> None:
    narrow = abs(len(x) - len(y)) + width
    assert dtw_distance(x, y, narrow) >= dtw_distance(x, y, narrow + 1) >= dtw_distance(x, y)
    assert dtw_distance(x, y, max(len(x), len(y))) == dtw_distance(x, y)


def test_a_band_of_no_width_compares_value_by_value() -> None:
    x, y = np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])
    assert dtw_distance(x, y, 0) == 2.0
    assert dtw_distance(x, y) == 1.0


@given(values, series)
def test_a_single_value_is_held_against_every_one_of_the_other(value: float, y: np.ndarray) -> None:
    assert dtw_distance(np.array([value]), y) == pytest.approx(np.abs(value - y).sum(), abs=1e-12)


def test_nothing_is_at_no_defined_distance_from_anything() -> None:
    some, nothing = np.array([0.5]), np.array([])
    found = dtw_distances([some, nothing, some, nothing], [some, some, nothing, nothing])
    np.testing.assert_array_equal(found, [0.0, np.nan, np.nan, np.nan])
    assert dtw_distances([], []).shape == (0,)


@settings(max_examples=30)
@given(series, series)
def test_pairs_do_not_disturb_each_other(x: np.ndarray, y: np.ndarray) -> None:
    far = np.full(40, 1e9)
    assert dtw_distances([far, x, far], [y, y, x])[1] == dtw_distance(x, y)


def test_what_cannot_be_compared_is_refused() -> None:
    line, two = np.array([0.0, 1.0]), np.zeros((2, 2))
    with pytest.raises(ValueError, match="as many series on both sides, found 1 and 2"):
        dtw_distances([line], [line, line])
    with pytest.raises(ValueError, match="as many series on both sides"):
        dtw_distances([line], [line], [1, 1])
    with pytest.raises(ValueError, match=r"expected a series of shape \(T,\), found \(2, 2\)"):
        dtw_distances([two], [line])
    with pytest.raises(ValueError, match="holds NaN"):
        dtw_distance(line, np.array([np.nan]))
    with pytest.raises(ValueError, match="pair 1: a band of 1 joins no series of 2 and 4"):
        dtw_distances([line, line], [line, np.zeros(4)], [0, 1])
