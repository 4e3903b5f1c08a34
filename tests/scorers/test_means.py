"""Means of columns: each rests on the dialogues in which it has a value."""

from __future__ import annotations

import numpy as np
import pytest

from avemo_harness.metrics.shares import share_estimate
from avemo_harness.scorers.reasoning_columns import Column, mean_metrics

DIALOGUES = [f"d{i}" for i in range(100)]


def sparse(values: np.ndarray, each: int) -> Column:
    """A value in one of `each` dialogues."""
    return Column(np.where(np.arange(100) % each == 0, values, np.nan), DIALOGUES)


def test_a_sparse_column_has_the_interval_of_its_own_dialogues() -> None:
    values = np.random.default_rng(0).uniform(0, 1, 100)
    beside = mean_metrics({"dense": Column(values, DIALOGUES), "sparse": sparse(values, 10)}, 0)
    alone = mean_metrics({"sparse": Column(values[::10], DIALOGUES[::10])}, 0)["sparse"]
    assert (beside["dense"].n_clusters, beside["sparse"].n_clusters) == (100, 10)
    assert (beside["sparse"].ci_low, beside["sparse"].ci_high) == (alone.ci_low, alone.ci_high)
    assert (beside["sparse"].n, beside["sparse"].n_undefined) == (10, 90)


def test_a_value_in_four_of_a_hundred_dialogues_has_no_interval() -> None:
    found = mean_metrics({"x": sparse(np.linspace(0, 1, 100), 25)}, 0)["x"]
    assert found.value is not None
    assert (found.ci_low, found.ci_high, found.n_clusters, found.note) == (None, None, 4, "too few dialogues")


def test_a_column_of_zeros_and_ones_is_a_share() -> None:
    spoken = (np.arange(100) % 9 > 0).astype(float)
    found = mean_metrics({"coverage": Column(spoken, DIALOGUES)}, 0)["coverage"]
    expected = share_estimate(spoken, np.ones(100))
    assert (found.ci_low, found.ci_high) == (expected.ci_low, expected.ci_high)


@pytest.mark.parametrize("rounding", [0.0, 1e-13])
def test_a_mean_that_is_1_in_every_dialogue_is_bounded_below(rounding: float) -> None:
    found = mean_metrics({"ess": Column(np.full(100, 1.0 - rounding), DIALOGUES)}, 0)["ess"]
    assert (found.ci_low, found.ci_high) == (pytest.approx(0.025**0.01), 1.0)


def test_a_mean_that_is_the_same_in_every_dialogue_and_no_end_of_its_range_has_no_interval() -> None:
    found = mean_metrics({"ecs": Column(np.full(100, 0.8), DIALOGUES)}, 0)["ecs"]
    assert found.value == pytest.approx(0.8)
    assert (found.ci_low, found.note) == (None, "the same in every dialogue")


def test_an_anchored_score_that_is_1_in_every_dialogue_has_no_interval() -> None:
    shuffled = np.random.default_rng(0).uniform(0.3, 0.7, 100)
    found = mean_metrics({"ecs_anchored": Column(np.ones(100), DIALOGUES, shuffled)}, 0)["ecs_anchored"]
    assert found.value == pytest.approx(1.0)
    assert (found.ci_low, found.note) == (None, "the same in every dialogue")


def test_the_anchored_ratio_is_formed_anew_in_every_resample() -> None:
    """Where a reply's score follows that of others' replies exactly, the ratio is known better than either."""
    shuffled = np.random.default_rng(1).uniform(0.2, 0.8, 100)
    column = Column(shuffled + 0.5 * (1 - shuffled), DIALOGUES, shuffled)
    found = mean_metrics({"x": column}, 0)["x"]
    assert found.value == pytest.approx(0.5)
    assert (found.ci_low, found.note) == (None, "the same in every dialogue")
