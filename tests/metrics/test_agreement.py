"""Agreement of two series from moments that add up: concordance, correlation, distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from avemo_harness.metrics.agreement import (
    concordance,
    concordance_with_labels,
    correlation,
    root_mean_square_error,
    series_moments,
)

values = st.floats(0, 1, allow_nan=False)
pairs = st.lists(st.tuples(values, values), min_size=1, max_size=30).map(lambda rows: np.array(rows).T)


def ccc(x: object, y: object) -> float:
    return float(concordance(series_moments(np.asarray(x, dtype=float), np.asarray(y, dtype=float))))


def plain_concordance(x: np.ndarray, y: np.ndarray) -> float:
    cov = ((x - x.mean()) * (y - y.mean())).mean()
    return float(2 * cov / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))


def test_it_equals_the_plain_computation_with_population_moments() -> None:
    rng = np.random.default_rng(5)
    for length in (2, 8, 1_000):
        x = rng.random(length)
        y = np.clip(0.5 * x + 0.3 * rng.random(length), 0, 1)
        moments = series_moments(x, y)
        assert concordance(moments) == pytest.approx(plain_concordance(x, y), abs=1e-12)
        assert correlation(moments) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)
        assert root_mean_square_error(moments) == pytest.approx(np.sqrt(((x - y) ** 2).mean()), abs=1e-12)


def test_values_by_hand() -> None:
    assert ccc([0, 1], [1, 0]) == -1.0
    assert ccc([0.2, 0.4, 0.6], [0.2, 0.4, 0.6]) == 1.0
    # Means .5 and .75, variances .25 and .0625, covariance .125.
    assert ccc([0, 1], [0.5, 1.0]) == pytest.approx(2 * 0.125 / (0.25 + 0.0625 + 0.0625))


def test_a_bias_lowers_concordance_and_leaves_correlation() -> None:
    x = np.linspace(0, 0.5, 20)
    moments = series_moments(x, x + 0.3)
    assert correlation(moments) == pytest.approx(1.0)
    assert concordance(moments) == pytest.approx(2 * x.var() / (2 * x.var() + 0.09))
    assert root_mean_square_error(moments) == pytest.approx(0.3)


@pytest.mark.parametrize(("x", "y"), [(0.3, 0.3), (0.3, 0.8), (0.1, 0.1 + 0.2)])
@pytest.mark.parametrize("length", [1, 3, 1_000])
def test_two_constants_have_no_concordance(x: float, y: float, length: int) -> None:
    """Whatever rounding leaves of their variances."""
    moments = series_moments(np.full(length, x), np.full(length, y))
    assert np.isnan(concordance(moments))
    assert np.isnan(correlation(moments))
    assert root_mean_square_error(moments) == pytest.approx(abs(x - y), abs=1e-7)


def test_a_constant_follows_nothing() -> None:
    x = np.linspace(0, 1, 50)
    for one, other in ((x, np.full(50, 0.7)), (np.full(50, 0.7), x)):
        assert np.isnan(correlation(series_moments(one, other)))


@given(pairs, st.floats(0, 1))
def test_concordance_with_a_constant_is_zero_and_has_no_sign(pair: np.ndarray, constant: float) -> None:
    x = np.concatenate([pair[0], [0.0, 1.0]])
    for moments in (series_moments(x, np.full(len(x), constant)), series_moments(np.full(len(x), constant), x)):
        assert f"{float(concordance(moments)):+}" == "+0.0"


def test_a_recording_whose_labels_are_constant_has_no_concordance_and_one_predicted_as_constant_has_none_of_it() -> (
    None
):
    moving, still = np.linspace(0.2, 0.8, 7), np.full(7, 0.4)
    pairs_of = {"both move": (moving, moving), "labels still": (moving, still), "prediction still": (still, moving)}
    found = {name: float(concordance_with_labels(series_moments(*pair))) for name, pair in pairs_of.items()}
    assert found["both move"] == pytest.approx(1.0)
    assert np.isnan(found["labels still"])
    assert found["prediction still"] == 0.0
    assert np.isnan(concordance_with_labels(series_moments(still, still)))


def test_nothing_has_no_agreement() -> None:
    moments = series_moments(np.array([]), np.array([]))
    for measure in (concordance, correlation, root_mean_square_error):
        assert np.isnan(measure(moments))


@given(pairs)
def test_bounds_and_symmetry(pair: np.ndarray) -> None:
    x, y = pair
    moments, swapped = series_moments(x, y), series_moments(y, x)
    for measure in (concordance, correlation):
        value = float(measure(moments))
        assert np.isnan(value) or -1 - 1e-9 <= value <= 1 + 1e-9
        np.testing.assert_allclose(measure(swapped), value, rtol=0, atol=1e-12)
    assert 0 <= root_mean_square_error(moments) <= 1 + 1e-12


@given(pairs)
def test_concordance_is_never_stronger_than_correlation(pair: np.ndarray) -> None:
    moments = series_moments(*pair)
    strength = abs(float(correlation(moments)))
    assert np.isnan(strength) or abs(float(concordance(moments))) <= strength + 1e-6


def test_it_agrees_with_pearson_of_scipy() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.random((2, 40))
    assert correlation(series_moments(x, y)) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)


def test_the_moments_of_recordings_add_up_to_those_of_all_together() -> None:
    rng = np.random.default_rng(7)
    recordings = [tuple(rng.random((2, length))) for length in (3, 10, 40)]
    each = np.array([series_moments(x, y) for x, y in recordings])
    together = series_moments(*(np.concatenate(side) for side in zip(*recordings, strict=True)))
    np.testing.assert_allclose(each.sum(axis=0), together, atol=1e-12)
    per_recording = concordance(each)
    assert per_recording.tolist() == [float(concordance(row)) for row in each]
    assert per_recording.tolist() == pytest.approx([plain_concordance(x, y) for x, y in recordings])


def test_resamples_of_recordings_are_one_matrix_product() -> None:
    rng = np.random.default_rng(8)
    recordings = [tuple(rng.random((2, 20))) for _ in range(5)]
    each = np.array([series_moments(x, y) for x, y in recordings])
    weights = rng.multinomial(5, [0.2] * 5, size=100).astype(float)
    resampled = concordance(weights @ each)
    first = [recordings[i] for i, times in enumerate(weights[0]) for _ in range(int(times))]
    x, y = (np.concatenate(side) for side in zip(*first, strict=True))
    assert resampled.shape == (100,)
    assert resampled[0] == pytest.approx(plain_concordance(x, y), abs=1e-12)


@pytest.mark.parametrize(("x", "y"), [([0.5], [0.5, 0.5]), ([[0.5]], [[0.5]])])
def test_series_of_other_shapes_are_refused(x: list[object], y: list[object]) -> None:
    with pytest.raises(ValueError, match="expected two series of one length"):
        ccc(x, y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_a_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        ccc([0.5, value], [0.5, 0.5])
