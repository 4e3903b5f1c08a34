"""Calibration is what the formulas say, to the last tie, and what scikit-learn says where it says anything."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from avemo_harness.metrics.calibration import (
    brier_score,
    equal_mass_bins,
    expected_calibration_error,
    label_probabilities,
    reliability_bins,
)

LABELS = 4
# Few distinct values, so that equal confidences are common.
confidence = st.one_of(st.integers(0, 8).map(lambda step: step / 8), st.floats(0, 1, allow_subnormal=False))
answers = st.lists(st.tuples(confidence, st.booleans()), min_size=1, max_size=45)
scores = st.lists(
    st.tuples(st.lists(st.floats(-30, 0), min_size=LABELS, max_size=LABELS), st.integers(0, LABELS - 1)),
    min_size=1,
    max_size=30,
)


def as_arrays(pairs: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([c for c, _ in pairs]), np.array([float(hit) for _, hit in pairs])


def forecast(rows: list[tuple[list[float], int]]) -> tuple[np.ndarray, np.ndarray]:
    return label_probabilities(np.array([row for row, _ in rows])), np.array([gold for _, gold in rows])


def ece_by_loops(pairs: list[tuple[float, bool]]) -> float:
    """The definition in words: an item's bin is the tenth of all items that the middle of its equals falls into."""
    total = 0.0
    for bin_number in range(10):
        gap = 0.0
        for value, hit in pairs:
            below = sum(other < value for other, _ in pairs)
            equal = sum(other == value for other, _ in pairs)
            if (10 * (2 * below + equal)) // (2 * len(pairs)) == bin_number:
                gap += float(hit) - value
        total += abs(gap)
    return total / len(pairs)


@given(answers)
def test_the_error_agrees_with_a_double_loop_and_stays_in_its_bounds(pairs: list[tuple[float, bool]]) -> None:
    error = float(expected_calibration_error(*as_arrays(pairs)))
    assert error == pytest.approx(ece_by_loops(pairs), abs=1e-12)
    assert 0.0 <= error <= 1.0
    confidences, hits = as_arrays(pairs)
    assert error >= abs(hits.mean() - confidences.mean()) - 1e-12


@given(answers, st.data())
def test_the_error_does_not_depend_on_the_order_of_items(pairs: list[tuple[float, bool]], data: st.DataObject) -> None:
    before, after = (expected_calibration_error(*as_arrays(x)) for x in (pairs, data.draw(st.permutations(pairs))))
    assert after == pytest.approx(before, abs=1e-12)


@given(answers, st.data())
def test_a_weight_is_how_often_an_item_stands_in_the_list(pairs: list[tuple[float, bool]], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(pairs), max_size=len(pairs)).filter(any))
    repeated = [pair for pair, times in zip(pairs, weights, strict=True) for _ in range(times)]
    table = np.array([weights, np.ones(len(pairs))], dtype=float)
    error = expected_calibration_error(*as_arrays(pairs), table)
    assert error[0] == pytest.approx(expected_calibration_error(*as_arrays(repeated)), abs=1e-12)
    assert error[1] == pytest.approx(expected_calibration_error(*as_arrays(pairs)), abs=1e-12)


@given(st.integers(1, 200))
def test_bins_without_ties_differ_in_size_by_one_at_most_and_few_items_have_a_bin_each(items: int) -> None:
    bins = equal_mass_bins(np.linspace(0.2, 0.9, items), np.ones(items))
    sizes = np.bincount(bins, minlength=10)
    assert (np.diff(bins) >= 0).all()
    assert sizes.max() - sizes.min() <= 1
    assert len(set(bins.tolist())) == min(items, 10)


@given(answers)
def test_items_of_equal_confidence_share_a_bin(pairs: list[tuple[float, bool]]) -> None:
    confidences, _ = as_arrays(pairs)
    bins = equal_mass_bins(confidences, np.ones(len(pairs)))
    assert len(set(zip(confidences.tolist(), bins.tolist(), strict=True))) == len(set(confidences.tolist()))


def test_fewer_than_ten_items_are_compared_one_by_one() -> None:
    error = expected_calibration_error(np.array([0.9, 0.6, 0.3]), np.array([1.0, 0.0, 0.0]))
    assert error == pytest.approx((0.1 + 0.6 + 0.3) / 3)


def test_a_perfect_forecaster_has_no_error_and_one_that_is_always_surely_wrong_the_greatest() -> None:
    sure = label_probabilities(np.where(np.eye(LABELS, dtype=bool), 0.0, -np.inf))
    gold = np.arange(LABELS)
    right, wrong = (
        float(expected_calibration_error(sure.max(axis=1), hits)) for hits in (np.ones(LABELS), np.zeros(LABELS))
    )
    assert (right, wrong) == (0.0, 1.0)
    assert (brier_score(sure, gold), brier_score(sure, (gold + 1) % LABELS)) == (0.0, 2.0)


def test_a_constant_confidence_is_compared_with_the_accuracy_of_all() -> None:
    hits = np.random.default_rng(0).permutation(np.repeat([1.0, 0.0], [30, 70]))
    assert expected_calibration_error(np.full(100, 0.9), hits) == pytest.approx(0.6)


def test_a_calibrated_forecaster_gets_the_small_error_that_noise_makes() -> None:
    rng = np.random.default_rng(5)
    for items in (1_000, 100_000):
        confidences = rng.uniform(0.25, 1.0, items)
        hits = (rng.random(items) < confidences).astype(float)
        noise = 2.5 * np.sqrt(0.6 * 0.4 / items)
        assert 0.3 * noise < expected_calibration_error(confidences, hits) < 1.7 * noise
        assert expected_calibration_error(np.minimum(confidences + 0.1, 1.0), hits) > 0.07


@given(scores)
def test_the_brier_score_is_the_sum_of_scikit_learns_over_labels(rows: list[tuple[list[float], int]]) -> None:
    probabilities, gold = forecast(rows)
    expected = sum(
        brier_score_loss((gold == label).astype(int), probabilities[:, label], pos_label=1) for label in range(LABELS)
    )
    found = float(brier_score(probabilities, gold))
    assert found == pytest.approx(expected, abs=1e-12)
    assert 0.0 <= found <= 2.0


@given(scores, st.permutations(range(LABELS)))
def test_the_brier_score_does_not_depend_on_the_order_of_labels_or_items(
    rows: list[tuple[list[float], int]], order: list[int]
) -> None:
    probabilities, gold = forecast(rows)
    renamed = np.array([order.index(label) for label in gold])
    again = brier_score(probabilities[::-1, order], renamed[::-1])
    assert again == pytest.approx(float(brier_score(probabilities, gold)), abs=1e-12)


def test_equal_probabilities_of_four_labels_score_three_quarters() -> None:
    assert brier_score(np.full((7, LABELS), 0.25), np.arange(7) % LABELS) == pytest.approx(0.75)


@given(st.lists(st.floats(-1e4, 0), min_size=2, max_size=6), st.floats(-1e4, 1e4))
def test_probabilities_sum_to_one_whatever_is_added_to_all_scores(row: list[float], offset: float) -> None:
    probabilities = label_probabilities(np.array(row))
    assert probabilities.sum() == pytest.approx(1.0)
    assert label_probabilities(np.array(row) + offset) == pytest.approx(probabilities, abs=1e-9)


@settings(max_examples=50)
@given(answers)
def test_reliability_bins_hold_every_item_once_and_give_the_error(pairs: list[tuple[float, bool]]) -> None:
    confidences, hits = as_arrays(pairs)
    bins = reliability_bins(confidences, hits)
    assert sum(one.n for one in bins) == len(pairs)
    assert all(one.lower <= one.confidence + 1e-12 and one.confidence <= one.upper + 1e-12 for one in bins)
    assert all(low.upper < high.lower for low, high in pairwise(bins))
    error = sum(one.n * abs(one.accuracy - one.confidence) for one in bins) / len(pairs)
    assert expected_calibration_error(confidences, hits) == pytest.approx(error, abs=1e-12)


def test_without_items_everything_is_undefined() -> None:
    nothing = np.zeros(0)
    assert np.isnan(expected_calibration_error(nothing, nothing))
    assert np.isnan(expected_calibration_error(nothing, nothing, np.zeros((3, 0)))).tolist() == [True] * 3
    assert np.isnan(brier_score(np.zeros((0, LABELS)), np.zeros(0, dtype=int)))
    assert np.isnan(expected_calibration_error(np.ones(2), np.ones(2), np.zeros((1, 2)))).all()
    assert reliability_bins(nothing, nothing) == ()
