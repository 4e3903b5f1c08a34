"""Data whose true values are known, drawn as benchmark data come: turns in dialogues that are alike within."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from avemo_harness.metrics import calibration, classification
from avemo_harness.metrics.agreement import concordance_with_labels, correlation, series_moments
from avemo_harness.metrics.bootstrap import (
    ClusterBootstrap,
    Estimate,
    ItemBootstrap,
    Statistic,
    bounded_at_edges,
    interval_of_inflated,
)
from avemo_harness.metrics.choices import letter_counts
from avemo_harness.metrics.discrimination import ecs_auc_estimate
from avemo_harness.metrics.paired import difference
from avemo_harness.metrics.profiles import AV_EMO
from avemo_harness.metrics.rank_correlation import kendall_estimate, spearman_estimate
from avemo_harness.metrics.raters import mean_of_item_means, unit_score
from avemo_harness.metrics.sets import mean_f1
from avemo_harness.metrics.shares import score_estimate, share_estimate
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.scorers.choice import bias_estimate
from avemo_harness.scorers.metric import WHEELS
from avemo_harness.scorers.numbers import agreement_estimate
from avemo_harness.scorers.open_vocabulary import wheel_estimate
from avemo_harness.scorers.reasoning_columns import Column, mean_metrics
from avemo_harness.scorers.rubric import mean_of_grades
from avemo_harness.scorers.understanding import fusion_estimates

Floats = NDArray[np.float64]
Sizes = NDArray[np.int64]
"""Turns of each dialogue; 0 where a dialogue has none with a value."""

LAYOUTS = {"equal": 4.0, "unequal": 3.9, "single": 1.0, "sparse": 1.5}
"""Turns of a dialogue that has any, on average."""
EVERY = tuple(LAYOUTS)
DENSE = ("equal", "unequal")


@dataclass(frozen=True)
class Kind:
    """A metric and a process that draws its data.

    Args:
        draw: sizes of dialogues -> the metric's estimate from new data.
        share: the true share, where it is one.
        two_sided: covering too often is outside the target too.
        cause: why figures miss the target where they do.
        repeats: how often to multiply the number of simulations by, where they are cheap.
        resamples: of an interval; 500 instead of 2,000 lower coverage by 0.003 to 0.005.
    """

    name: str
    truth: float
    draw: Callable[[np.random.Generator, Sizes], Estimate]
    layouts: tuple[str, ...] = EVERY
    share: float | None = None
    two_sided: bool = False
    cause: str = "no cause known"
    repeats: int = 1
    resamples: int = 1_000


def sizes_of(layout: str, dialogues: int, rng: np.random.Generator) -> Sizes:
    """Turns of each dialogue. Of sparse ones, one in five has a value, and the rest count for nothing."""
    if layout == "equal":
        return np.full(dialogues, 4)
    if layout == "single":
        return np.ones(dialogues, dtype=np.int64)
    if layout == "unequal":
        return np.minimum(rng.geometric(0.25, dialogues), 16)
    sizes = np.zeros(5 * dialogues, dtype=np.int64)
    sizes[rng.choice(5 * dialogues, dialogues, replace=False)] = 1 + rng.poisson(0.5, dialogues)
    return sizes


def _owners(sizes: Sizes) -> Sizes:
    """The dialogue of each turn."""
    return np.repeat(np.arange(len(sizes)), sizes)


def _sums(sizes: Sizes, *values: Floats) -> Floats:
    """Turns of each dialogue and the sums of their values, shape (D, 1 + values)."""
    owners = _owners(sizes)
    return np.stack([sizes, *(np.bincount(owners, value, len(sizes)) for value in values)], axis=1).astype(np.float64)


def _ratio(sums: Floats) -> Floats:
    return sums[:, 1] / sums[:, 0]


def _mean_estimate(values: Floats, sizes: Sizes, shuffled: Floats | None = None) -> Estimate:
    metric = mean_metrics({"x": Column(values, [str(one) for one in _owners(sizes)], shuffled)}, 0)["x"]
    return Estimate(metric.value, metric.ci_low, metric.ci_high, metric.n_clusters, metric.note)


def _near(mean: Floats | float, spread: float, rng: np.random.Generator, size: int | None = None) -> Floats:
    """Values in (0, 1) around a mean; the variance is ``mean * (1 - mean) * spread``."""
    mass = 1 / spread - 1
    return rng.beta(np.maximum(mean * mass, 1e-9), np.maximum((1 - np.asarray(mean)) * mass, 1e-9), size)


def draw_share(share: float, likeness: float, rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """Right answers whose intraclass correlation within a dialogue is `likeness`."""
    return share_estimate(
        rng.binomial(sizes, _near(share, likeness, rng, len(sizes))).astype(float), sizes.astype(float)
    )


GOLD = np.array([0.4, 0.25, 0.15, 0.2])
RECALL = np.array([0.8, 0.65, 0.55, 0.6])
CONFUSED = np.array([[0, 0.3, 0.3, 0.4], [0.6, 0, 0.2, 0.2], [0.5, 0.2, 0, 0.3], [0.7, 0.1, 0.2, 0]])
TRUE_CONFUSION = np.concatenate(
    [GOLD[:, None] * (np.diag(RECALL) + (1 - RECALL)[:, None] * CONFUSED), np.zeros((4, 1))], axis=1
)


def draw_labels(statistic: Callable[[Floats], Floats], rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """Four labels, more of one mood within a dialogue, and dialogues that are hard or easy."""
    moods = rng.dirichlet(3 * GOLD, len(sizes))
    ease = rng.normal(0, 0.6, len(sizes))
    owners = _owners(sizes)
    gold = (rng.random((len(owners), 1)) > np.cumsum(moods[owners], axis=1)[:, :-1]).sum(axis=1)
    right = ease[owners] + rng.normal(0, 0.8, len(owners)) < ndtri(RECALL)[gold]
    wrong = (rng.random((len(owners), 1)) > np.cumsum(CONFUSED[gold], axis=1)[:, :-1]).sum(axis=1)
    counts = np.zeros((len(sizes), 4, 5))
    np.add.at(counts, (owners, gold, np.where(right, gold, wrong)), 1)
    return score_estimate(
        ClusterBootstrap(counts.reshape(len(sizes), -1)), lambda sums: statistic(sums.reshape(-1, 4, 5))
    )


def _macro_f1(counts: Floats) -> Floats:
    return classification.macro_f1(counts, np.ones(4, dtype=bool))


def draw_mean(rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """ECS: about 0.75, skewed to the left."""
    dialogues = _near(0.75, 0.06, rng, len(sizes))
    return _mean_estimate(_near(dialogues[_owners(sizes)], 0.1, rng), sizes)


NONE_OF_EBS = 0.2


def draw_balancing(rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """EBS: about 0.36 with a wide spread, and 0 in one of five turns."""
    dialogues = _near(0.45, 0.1, rng, len(sizes))
    values = _near(dialogues[_owners(sizes)], 0.15, rng)
    return _mean_estimate(np.where(rng.random(len(values)) < NONE_OF_EBS, 0.0, values), sizes)


def draw_anchored(rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """ECS of 0.8 where that of others' replies is 0.7; both depend on the user's turns."""
    owners = _owners(sizes)
    ease = _near(0.5, 0.2, rng, len(sizes))[owners]
    score, shuffled = 0.7 + 0.2 * ease, 0.6 + 0.2 * ease
    return _mean_estimate(_near(score, 0.08, rng), sizes, _near(shuffled, 0.03, rng))


def _answers(chances: tuple[float, ...], rng: np.random.Generator, sizes: Sizes) -> list[Floats]:
    """Right answers of several systems to the same turns: of what decides, half is common to them."""
    owners = _owners(sizes)
    ease = rng.normal(0, 0.5, len(sizes))[owners] + rng.normal(0, 0.5, len(owners))
    return [(ease + rng.normal(0, np.sqrt(0.5), len(owners)) < ndtri(chance)).astype(float) for chance in chances]


def draw_difference_of_shares(rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """Accuracies of 0.6 and 0.7."""
    first, second = (_sums(sizes, hits) for hits in _answers((0.6, 0.7), rng, sizes))
    return difference(first, second, _ratio)


def draw_difference_of_means(rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """ECS of 0.75 and 0.70, whose dialogues are alike."""
    dialogues = _near(0.75, 0.06, rng, len(sizes))
    owners = _owners(sizes)
    own = [_near(mean, 0.02, rng)[owners] for mean in (dialogues, 0.8 * dialogues + 0.1)]
    first, second = (_sums(sizes, _near(mean, 0.1, rng)) for mean in own)
    return difference(first, second, _ratio)


def draw_gain(chances: tuple[float, float, float], rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """Accuracies with both streams, sound, picture."""
    return fusion_estimates(_sums(sizes, *_answers(chances, rng, sizes)))[0]


SURPLUS = 0.15
"""By how much confidence exceeds accuracy."""
LEAST_CONFIDENT = 0.4


def _forecasts(rng: np.random.Generator, sizes: Sizes) -> tuple[Floats, Floats, Sizes]:
    owners = _owners(sizes)
    confidences = rng.uniform(LEAST_CONFIDENT, 1, len(owners))
    ease = rng.normal(0, np.sqrt(0.2), len(sizes))[owners] + rng.normal(0, np.sqrt(0.8), len(owners))
    return confidences, (ndtr(ease) < confidences - SURPLUS).astype(float), np.unique(owners, return_inverse=True)[1]


def draw_ece(rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """Forecasts that are too sure by 0.15 at every confidence."""
    confidences, hits, clusters = _forecasts(rng, sizes)
    statistic = partial(calibration.expected_calibration_error, confidences, hits)
    return ItemBootstrap(clusters).estimate(statistic, interval_of_inflated)


def _brier_of(confidence: Floats, hit: Floats) -> Floats:
    """Of four labels, those not answered being equally probable."""
    rest = (1 - confidence) / 3
    return np.where(hit > 0, (1 - confidence) ** 2 + 3 * rest**2, confidence**2 + (1 - rest) ** 2 + 2 * rest**2)


def draw_brier(rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """The same forecasts."""
    confidences, hits, clusters = _forecasts(rng, sizes)
    probabilities = np.repeat((1 - confidences[:, None]) / 3, 4, axis=1)
    probabilities[:, 0] = confidences
    statistic = partial(calibration.brier_score, probabilities, np.where(hits > 0, 0, 1))
    return bounded_at_edges(ItemBootstrap(clusters).estimate(statistic, high=2.0), high=2.0)


def _true_brier() -> float:
    edges = np.linspace(LEAST_CONFIDENT, 1, 200_001)
    c = (edges[1:] + edges[:-1]) / 2
    right, wrong = (_brier_of(c, np.full(len(c), hit)) for hit in (1.0, 0.0))
    return float(((c - SURPLUS) * right + (1 - c + SURPLUS) * wrong).mean())


RATERS, RATERS_AN_ITEM = 20, 5
RATED, OF_ITEMS, OF_RATERS, OF_RATINGS = 3.6, 0.6, 0.4, 0.7
"""Mean of what raters would say, and spreads of items (half of it their dialogue's), raters and single ratings."""


def draw_people(rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """Up to 20 raters; five of them, drawn at random, give each item 1 to 5 points."""
    raters = min(RATERS, len(sizes))
    owners = _owners(sizes)
    half = OF_ITEMS / np.sqrt(2)
    items = rng.normal(0, half, len(sizes))[owners] + rng.normal(0, half, len(owners))
    latent = (
        RATED + items[:, None] + rng.normal(0, OF_RATERS, raters) + rng.normal(0, OF_RATINGS, (len(owners), raters))
    )
    points = np.clip(np.rint(latent), 1, 5)
    order = np.argsort(rng.random(points.shape), axis=1)
    points[order >= RATERS_AN_ITEM] = np.nan
    return mean_of_item_means(unit_score(points)[None], owners)


def _true_rating() -> float:
    spread = np.sqrt(OF_ITEMS**2 + OF_RATERS**2 + OF_RATINGS**2)
    return float(sum(1 - ndtr((point + 0.5 - RATED) / spread) for point in range(1, 5)) / 4)


GRADED, OF_DIALOGUES, OF_ANSWERS = 4.2, 0.6, 0.9
"""Mean of what a grader would say without whole points and ends, and spreads of dialogues and answers."""


def draw_grades(rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """Whole grades from 1 to 5, many of which are the best."""
    owners = _owners(sizes)
    latent = GRADED + rng.normal(0, OF_DIALOGUES, len(sizes))[owners] + rng.normal(0, OF_ANSWERS, len(owners))
    grades = np.clip(np.rint(latent), 1, 5)
    return mean_of_grades(Column(grades, [str(one) for one in owners], low=1.0, high=5.0))


def _true_grade() -> float:
    spread = np.hypot(OF_DIALOGUES, OF_ANSWERS)
    return 1 + float(sum(1 - ndtr((point + 0.5 - GRADED) / spread) for point in range(1, 5)))


HEARD_RIGHT = (0.95, 0.65)
"""How often a judge hears the emotion of one speaker, and of another."""


def draw_auc(rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """Recordings of two emotions, heard at one of two places so far apart that ECS is 1 or 0."""
    owners = _owners(sizes)
    emotions = rng.integers(0, 2, len(owners))
    right = rng.random(len(owners)) < rng.choice(HEARD_RIGHT, len(sizes))[owners]
    places = np.where(right, emotions, 1 - emotions).astype(np.float64)
    heard = [Trajectory(np.full((1, 2), place), ("valence", "arousal"), "unit", 2.0) for place in places]
    return ecs_auc_estimate(heard, emotions.astype(str).tolist(), owners.astype(str).tolist(), AV_EMO)[0]


def _true_auc() -> float:
    """Half a win for each tie: ``(1 + P(ECS = 1 | one emotion) - P(ECS = 1 | two)) / 2`` of two speakers."""
    right = float(np.mean(HEARD_RIGHT))
    return 0.5 + (right**2 + (1 - right) ** 2 - 2 * right * (1 - right)) / 2


CORRELATION = 0.6
"""Of two judges' normal scores, between dialogues as within them."""


def draw_rank_correlation(
    estimate: Callable[[Floats, Floats, Sizes], Estimate], rng: np.random.Generator, sizes: Sizes
) -> Estimate:
    known = np.flatnonzero(sizes)
    owners = np.repeat(np.arange(len(known)), sizes[known])
    covariance = np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])
    between, within = (rng.multivariate_normal((0, 0), covariance, count) for count in (len(known), len(owners)))
    x, y = (np.sqrt(0.4) * between[owners] + np.sqrt(0.6) * within).T
    return estimate(x, y, owners)


_SKEW = "the spread of few clusters is skewed or unequal: the t factor widens both sides alike and knows D alone"
_INFLATED = "the bins' noise adds to the error, and the correction knows only where there is nothing but noise"
_FEW_RATERS_AN_ITEM = "means of 5 raters an item hide a fifth of the raters' variance from a resample of raters"
_LABELS = "few items of the rarest label: where it is missing, the score is of the others"
_LATTICE = "a difference of few turns takes few values, so that no 95 % interval exists"

_LARGEST = "without a bias, the largest of several letters is noise that the lower end does not undo entirely"
BIAS = 0.3
"""Share of the answers that name the first option whatever is right; the others are right."""


def draw_bias(bias: float, rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """Choices among four options; dialogues differ in how often a letter is said without a reason."""
    counts = []
    for size in sizes:
        truth = rng.integers(0, 4, size)
        share = rng.beta(4 * bias, 4 * (1 - bias)) if bias else 0.0
        guessed = np.where(rng.random(size) < 0.5, truth, rng.integers(0, 4, size))
        answers = np.where(rng.random(size) < share, 0, guessed)
        counts.append(letter_counts(truth.tolist(), answers.tolist()).ravel())
    return bias_estimate(np.stack(counts))


def draw_agreement(statistic: Statistic, rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """Numbers whose truth varies as much between dialogues as within: answered = 0.6 truth + 0.2 + noise."""
    counts = []
    for size in sizes:
        truth = rng.normal(0, 0.5**0.5) + rng.normal(0, 0.5**0.5, size)
        counts.append(series_moments(0.6 * truth + 0.2 + rng.normal(0, 0.6, size), truth))
    return agreement_estimate(np.stack(counts), statistic)


HIT = 0.6
"""Share of the true words that an answer has, on average over dialogues."""


def draw_sets(rng: np.random.Generator, sizes: Sizes) -> Estimate:
    """Sets of two true words, of which a dialogue finds more or fewer; half of the answers have one more word."""
    sums = []
    for size in sizes:
        hits = rng.binomial(2, rng.beta(4 * HIT, 4 * (1 - HIT)), size)
        given = 2 + rng.integers(0, 2, size)
        of_wheel = [(hits / given).sum(), (hits / 2).sum(), size]
        sums.append(np.array([of_wheel] * WHEELS, dtype=np.float64).ravel())
    return wheel_estimate(np.stack(sums), lambda drawn: mean_f1(drawn.reshape(-1, WHEELS, 3)))


KINDS: tuple[Kind, ...] = (
    *(
        Kind(f"accuracy {share}", share, partial(draw_share, share, 0.2), share=share, repeats=2)
        for share in (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
    ),
    *(
        Kind(f"rate {share}", share, partial(draw_share, share, 0.35), ("unequal",), share, repeats=2)
        for share in (0.6, 0.25, 0.1)
    ),
    Kind("macro F1", float(_macro_f1(TRUE_CONFUSION)), partial(draw_labels, _macro_f1), cause=_LABELS),
    Kind(
        "balanced accuracy",
        float(classification.balanced_accuracy(TRUE_CONFUSION)),
        partial(draw_labels, classification.balanced_accuracy),
        cause=_LABELS,
    ),
    Kind("continuous mean (ECS)", 0.75, draw_mean, two_sided=True, cause=_SKEW),
    Kind("mean with zeros (EBS)", 0.8 * 0.45, draw_balancing, two_sided=True, cause=_SKEW),
    Kind("anchored mean", 0.1 / 0.3, draw_anchored, two_sided=True, cause=_SKEW),
    Kind("difference of shares", 0.1, draw_difference_of_shares, two_sided=True, cause=_LATTICE),
    Kind("difference of means", -0.05, draw_difference_of_means, two_sided=True, cause=_SKEW),
    *(
        Kind(f"fusion gain ({title})", gain, partial(draw_gain, chances), (*DENSE, "single"), cause=_LATTICE)
        for title, gain, chances in (("A = V", 0.05, (0.65, 0.6, 0.6)), ("A > V", 0.05, (0.75, 0.7, 0.5)))
    ),
    *(
        Kind(f"position bias {bias}", bias, partial(draw_bias, bias), DENSE, cause=_LARGEST, resamples=500)
        for bias in (BIAS, 0.0)
    ),
    # Mean precision is 5/6 of the mean recall.
    Kind("F1 of sets", 10 / 11 * HIT, draw_sets, two_sided=True, cause=_SKEW, resamples=500),
    Kind("CCC of numbers", 1.2 / 1.76, partial(draw_agreement, concordance_with_labels), DENSE, cause=_SKEW),
    Kind("Pearson's correlation", 0.6 / 0.72**0.5, partial(draw_agreement, correlation), DENSE, cause=_SKEW),
    Kind("ECE", SURPLUS, draw_ece, DENSE, cause=_INFLATED, resamples=500),
    Kind("Brier score", _true_brier(), draw_brier, DENSE, two_sided=True, cause=_SKEW, resamples=500),
    Kind("people's mean", _true_rating(), draw_people, DENSE, cause=_FEW_RATERS_AN_ITEM, resamples=500),
    Kind("mean of grades", _true_grade(), draw_grades, two_sided=True, cause=_SKEW),
    Kind("AUC of ECS", _true_auc(), draw_auc, DENSE, two_sided=True, cause=_SKEW, resamples=500),
    *(
        Kind(name, truth, partial(draw_rank_correlation, estimate), two_sided=True, cause=_SKEW, resamples=500)
        for name, truth, estimate in (
            # Of normal scores (Kendall 1948): both follow from Pearson's correlation.
            ("Spearman's rho", 6 / np.pi * np.arcsin(CORRELATION / 2), spearman_estimate),
            ("Kendall's tau", 2 / np.pi * np.arcsin(CORRELATION), kendall_estimate),
        )
    ),
)
