"""Labels are held against votes as a rater would be, and a rater against the others by counting each in turn."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.metrics import log_loss

from avemo_harness.metrics import votes
from avemo_harness.metrics.votes import LEAST_PROBABILITY, Floats

COUNTS = st.lists(st.integers(0, 5), min_size=2, max_size=6)


def one_by_one(counts: list[int]) -> list[int]:
    """The label that each rater gave."""
    return [label for label, count in enumerate(counts) for _ in range(count)]


def most_common(labels: list[int]) -> int | None:
    """The label that stands most often; None for a tie, and of nothing."""
    found = sorted(((labels.count(label), label) for label in set(labels)), reverse=True)
    if not found or (len(found) > 1 and found[0][0] == found[1][0]):
        return None
    return found[0][1]


def item(counts: list[int]) -> Floats:
    return np.array([counts], dtype=np.float64)


@given(COUNTS)
def test_a_typical_rater_agrees_with_the_others_as_often_as_pairs_of_raters_agree(counts: list[int]) -> None:
    raters = one_by_one(counts)
    pairs = [a == b for i, a in enumerate(raters) for j, b in enumerate(raters) if i != j]
    found = float(votes.rater_share(item(counts))[0])
    assert (found == pytest.approx(np.mean(pairs))) if pairs else math.isnan(found)


@given(COUNTS)
def test_a_typical_rater_is_right_where_most_of_the_others_say_the_same(counts: list[int]) -> None:
    raters = one_by_one(counts)
    others = [most_common(raters[:left] + raters[left + 1 :]) for left in range(len(raters))]
    hits = [given == most for given, most in zip(raters, others, strict=True) if most is not None]
    found = float(votes.rater_hit(item(counts))[0])
    assert (found == pytest.approx(np.mean(hits))) if hits else math.isnan(found)


@given(COUNTS)
def test_the_majority_is_the_label_that_alone_has_most_votes(counts: list[int]) -> None:
    most = most_common(one_by_one(counts))
    assert int(votes.majority(item(counts))[0]) == (-1 if most is None else most)


def test_the_answer_of_most_raters_has_the_largest_share_and_an_invalid_one_none() -> None:
    shares = [float(votes.vote_share(item([5, 3, 1]), np.array([answer]))[0]) for answer in (0, 1, 2, -1)]
    assert shares == pytest.approx([5 / 9, 3 / 9, 1 / 9, 0.0])
    assert all(a > b for a, b in pairwise(shares))


def test_without_votes_nothing_is_known() -> None:
    none, answer = item([0, 0, 0]), np.array([0])
    found = [votes.vote_share(none, answer), votes.vote_hit(none, answer), votes.rater_share(none)]
    assert np.isnan([*found, votes.rater_hit(none)]).all()


def test_cross_entropy_and_divergence_are_those_of_other_packages() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 6, (20, 4)).astype(np.float64) + np.array([1.0, 0.0, 0.0, 0.0])
    model = rng.dirichlet(np.ones(4), 20)
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert votes.vote_divergence(counts, model) == pytest.approx(entropy(shares, model, axis=1))
    raters = [log_loss(one_by_one(list(row.astype(int))), np.tile(of, (int(row.sum()), 1)), labels=range(4))
              for row, of in zip(counts, model, strict=True)]  # fmt: skip
    assert votes.vote_cross_entropy(counts, model) == pytest.approx(raters)


def test_a_label_without_any_weight_costs_much_and_not_everything() -> None:
    sure = np.array([[1.0, 0.0]])
    assert float(votes.vote_cross_entropy(item([0, 4]), sure)[0]) == pytest.approx(-math.log(LEAST_PROBABILITY))
    assert float(votes.vote_divergence(item([4, 0]), sure)[0]) == 0.0
