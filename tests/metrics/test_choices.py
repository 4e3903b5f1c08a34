"""Position bias tells how far answered letters lie from true ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.metrics.choices import letter_counts, position_bias

letters = st.lists(st.integers(0, 3), min_size=2, max_size=40).filter(lambda truth: len(set(truth)) > 1)


@given(letters, st.integers(0, 3))
def test_one_letter_whatever_is_true_is_a_bias_of_exactly_one(truth: list[int], always: int) -> None:
    assert float(position_bias(letter_counts(truth, [always] * len(truth)))) == 1.0


@given(letters)
def test_right_answers_have_no_bias_and_neither_has_any_order_of_them(truth: list[int]) -> None:
    assert float(position_bias(letter_counts(truth, truth))) == 0.0
    assert float(position_bias(letter_counts(truth, truth[::-1]))) == 0.0


@given(letters.flatmap(lambda truth: st.tuples(st.just(truth), st.permutations(range(26)), st.randoms())))
def test_the_bias_is_the_largest_excess_over_all_letters(drawn: tuple[list[int], list[int], object]) -> None:
    truth, answers = drawn[0], [letter % 4 for letter in drawn[1][: len(drawn[0])]]
    truth = truth[: len(answers)]
    if len(set(truth)) == 1:
        return
    n = len(truth)
    shares = [(answers.count(letter) / n, truth.count(letter) / n) for letter in range(4)]
    expected = max(0.0, *((said - true) / (1 - true) for said, true in shares))
    assert float(position_bias(letter_counts(truth, answers))) == pytest.approx(expected)


def test_a_bias_is_undefined_without_answers_and_where_one_letter_is_always_true() -> None:
    assert np.isnan(position_bias(letter_counts([], [])))
    assert np.isnan(position_bias(letter_counts([0, 0, 0], [0, 0, 0])))
    assert np.isnan(position_bias(letter_counts([0, 0, 0], [1, 0, 2])))


def test_all_resamples_are_computed_at_once() -> None:
    tables = np.stack([letter_counts([0, 1], [0, 0]), letter_counts([0, 1], [0, 1])])
    assert position_bias(tables).tolist() == [1.0, 0.0]
