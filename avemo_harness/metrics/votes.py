"""Labels held against the votes of raters, and raters against each other.

Votes are counts, float64 of shape (N, L): how many raters gave each item each label. Every function gives a value an
item, shape (N,), NaN where it is undefined; a metric is the mean over the items where it is not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEAST_PROBABILITY = 1e-6
"""Lower probabilities count as this, so that a label of no weight at all does not make a mean infinite."""


def vote_share(votes: Floats, answers: Integers) -> Floats:
    """Share of an item's raters that gave it the answered label, ``v_a / sum_l v_l``, in [0, 1], higher is better.

    Its mean is the accuracy that is expected where one rater, drawn by chance, decides what is right.

    Args:
        answers: index of each item's answer; -1 for an invalid one, which no rater gave.

    >>> vote_share(np.array([[6.0, 2.0]] * 2), np.array([0, -1])).tolist()
    [0.75, 0.0]
    """
    chosen = np.take_along_axis(votes, np.maximum(answers, 0)[:, None], axis=1)[:, 0]
    return _ratio(np.where(answers >= 0, chosen, 0.0), votes.sum(axis=1))


def majority(votes: Floats) -> Integers:
    """Index of the label that most raters gave, shape (N,); -1 for a tie, and without votes.

    >>> majority(np.array([[3.0, 1.0], [2.0, 2.0], [0.0, 0.0]])).tolist()
    [0, -1, -1]
    """
    most = votes.max(axis=1)
    is_alone = (votes == most[:, None]).sum(axis=1) == 1
    found: Integers = np.where(is_alone & (most > 0), votes.argmax(axis=1), -1)
    return found


def vote_hit(votes: Floats, answers: Integers) -> Floats:
    """1 where the answer is the label that most raters gave, else 0; NaN for ties. Its mean is an accuracy.

    >>> vote_hit(np.array([[3.0, 1.0], [3.0, 1.0], [2.0, 2.0]]), np.array([0, 1, 0])).tolist()
    [1.0, 0.0, nan]
    """
    most = majority(votes)
    return np.where(most >= 0, (answers == most).astype(np.float64), np.nan)


def rater_share(votes: Floats) -> Floats:
    """The same share for a typical rater: of the other raters, ``sum_l v_l (v_l - 1) / (n (n - 1))``, in [0, 1].

    The share of pairs of raters that agree, P_i of Fleiss 1971 (Psychological Bulletin 76, 378-382). Undefined for
    fewer than two raters.

    >>> rater_share(np.array([[3.0, 1.0], [1.0, 0.0]])).tolist()
    [0.5, nan]
    """
    raters = votes.sum(axis=1)
    return _ratio((votes * (votes - 1)).sum(axis=1), raters * (raters - 1))


def rater_hit(votes: Floats) -> Floats:
    """Share of an item's raters whose label is the one that most of the others gave, in [0, 1].

    Each rater is left out in turn; those for whom the others tie are not counted, and an item without any other has no
    value. The mean is the accuracy of a typical rater, to which `vote_hit` of a model is held.

    >>> rater_hit(np.array([[3.0, 1.0], [2.0, 1.0], [1.0, 0.0]])).tolist()
    [0.75, 0.0, nan]
    """
    hits, counted = np.zeros(len(votes)), np.zeros(len(votes))
    for label in range(votes.shape[1]):
        others = votes.copy()
        others[:, label] = np.maximum(others[:, label] - 1, 0)
        most = majority(others)
        weight = np.where(most >= 0, votes[:, label], 0.0)
        counted += weight
        hits += np.where(most == label, weight, 0.0)
    return _ratio(hits, counted)


def vote_cross_entropy(votes: Floats, probabilities: Floats) -> Floats:
    """``- sum_l p_l ln q_l`` in nats, of the shares p of votes and the model's probabilities q; lower is better.

    The loss by which soft labels are learned (Peterson et al. 2019, arXiv 1908.07086). Its least value is the entropy
    of the votes themselves.

    Args:
        probabilities: of each label, shape (N, L).
    """
    shares = _ratio(votes, votes.sum(axis=1, keepdims=True))
    return -(shares * np.log(np.maximum(probabilities, LEAST_PROBABILITY))).sum(axis=1)


def vote_divergence(votes: Floats, probabilities: Floats) -> Floats:
    """``sum_l p_l ln (p_l / q_l)`` in nats, the divergence of Kullback and Leibler; 0 where they are equal.

    >>> float(vote_divergence(np.array([[3.0, 1.0]]), np.array([[0.75, 0.25]]))[0])
    0.0
    """
    shares = _ratio(votes, votes.sum(axis=1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(shares == 0, 0.0, shares * np.log(shares)).sum(axis=1)
    return np.maximum(vote_cross_entropy(votes, probabilities) - entropy, 0.0)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1.0), np.nan)
