"""Classification metrics agree with scikit-learn, in bulk and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from avemo_harness.metrics.classification import (
    accuracy,
    balanced_accuracy,
    confusion_counts,
    f1_per_label,
    macro_f1,
    macro_f1_all,
    precision_per_label,
    recall_per_label,
    weighted_f1,
)

LABELS = 4
answers = st.one_of(st.none(), st.integers(0, LABELS - 1))
items = st.lists(st.tuples(st.integers(0, LABELS - 1), answers), min_size=1, max_size=60)


def as_arrays(pairs: list[tuple[int, int | None]]) -> tuple[np.ndarray, np.ndarray]:
    """Gold and predicted labels, an invalid answer being a fifth class that no label equals."""
    gold = np.array([truth for truth, _ in pairs])
    predicted = np.array([LABELS if answer is None else answer for _, answer in pairs])
    return gold, predicted


@given(items)
def test_every_metric_agrees_with_scikit_learn(pairs: list[tuple[int, int | None]]) -> None:
    gold, predicted = as_arrays(pairs)
    counts = confusion_counts(gold.tolist(), [answer for _, answer in pairs], LABELS)
    occurring = np.isin(np.arange(LABELS), gold)
    every = list(range(LABELS))

    assert accuracy(counts) == pytest.approx(sk.accuracy_score(gold, predicted))
    f1 = sk.f1_score(gold, predicted, labels=every, average=None, zero_division=0.0)
    assert np.nan_to_num(f1_per_label(counts)) == pytest.approx(f1)
    assert macro_f1(counts, occurring) == pytest.approx(f1[occurring].mean())
    assert macro_f1_all(counts) == pytest.approx(f1.mean())
    weighted = sk.f1_score(gold, predicted, labels=every, average="weighted", zero_division=0.0)
    assert weighted_f1(counts) == pytest.approx(weighted)
    recalls = sk.recall_score(gold, predicted, labels=every, average=None, zero_division=np.nan)
    assert recall_per_label(counts) == pytest.approx(recalls, nan_ok=True)
    precisions = sk.precision_score(gold, predicted, labels=every, average=None, zero_division=np.nan)
    assert precision_per_label(counts) == pytest.approx(precisions, nan_ok=True)
    assert balanced_accuracy(counts) == pytest.approx(np.nanmean(recalls))


@given(items)
def test_metrics_are_bounded_and_do_not_depend_on_the_order(pairs: list[tuple[int, int | None]]) -> None:
    counts = confusion_counts([g for g, _ in pairs], [p for _, p in pairs], LABELS)
    again = confusion_counts([g for g, _ in reversed(pairs)], [p for _, p in reversed(pairs)], LABELS)
    assert np.array_equal(counts, again)
    for metric in (accuracy, macro_f1_all, weighted_f1, balanced_accuracy):
        assert 0.0 <= metric(counts) <= 1.0


def test_a_perfect_answerer_gets_one_and_a_constant_one_its_share() -> None:
    gold = [0, 1, 2, 3] * 5
    perfect = confusion_counts(gold, gold, LABELS)
    constant = confusion_counts(gold, [0] * 20, LABELS)
    everywhere = np.ones(LABELS, dtype=bool)
    assert accuracy(perfect) == macro_f1(perfect, everywhere) == balanced_accuracy(perfect) == 1.0
    assert accuracy(constant) == balanced_accuracy(constant) == 0.25
    assert macro_f1(constant, everywhere) == pytest.approx(0.1)


def test_without_items_everything_is_undefined() -> None:
    empty = confusion_counts([], [], LABELS)
    for value in (accuracy(empty), macro_f1_all(empty), weighted_f1(empty), balanced_accuracy(empty)):
        assert np.isnan(value)
    assert np.isnan(macro_f1(empty, np.zeros(LABELS, dtype=bool)))


def test_a_label_without_gold_is_left_out_of_macro_f1_but_not_of_the_variant_over_all_four() -> None:
    counts = confusion_counts([0, 0, 1, 1], [0, 0, 1, 1], LABELS)
    assert macro_f1(counts, np.array([True, True, False, False])) == 1.0
    assert macro_f1_all(counts) == 0.5


def test_in_a_resample_a_label_that_is_absent_and_not_predicted_is_dropped_and_one_predicted_counts_zero() -> None:
    fixed = np.array([True, True, True, False])
    dropped = confusion_counts([0, 1], [0, 1], LABELS)
    predicted = confusion_counts([0, 1, 1], [0, 1, 2], LABELS)
    assert macro_f1(dropped, fixed) == 1.0
    assert macro_f1(predicted, fixed) == pytest.approx((1.0 + 2 / 3 + 0.0) / 3)


def test_resamples_are_computed_at_once() -> None:
    one = confusion_counts([0, 1], [0, None], LABELS)
    other = confusion_counts([2, 3], [2, 3], LABELS)
    assert accuracy(np.stack([one, other])).tolist() == [0.5, 1.0]
