"""Means of ratings and agreement of raters: against the packages that others use, and against simulated studies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.metrics.raters import (
    TOO_FEW_OR_RATERS,
    Floats,
    difference_of_item_means,
    intraclass_correlation,
    mean_of_item_means,
    ordinal_alpha,
    unit_score,
)


def ratings_of(items: int, raters: int, gaps: float, seed: int, *, noise: float = 0.7) -> Floats:
    """Ratings as people give them: items differ, raters are strict or mild, and some ratings are missing."""
    rng = np.random.default_rng(seed)
    latent = 3.2 + rng.normal(0, 0.6, (items, 1)) + rng.normal(0, 0.4, (1, raters))
    ratings = np.clip(np.round(latent + rng.normal(0, noise, (items, raters))), 1, 5)
    return np.where(rng.random(ratings.shape) < gaps, np.nan, ratings)


def one_a_dialogue(ratings: Floats) -> np.ndarray:
    return np.arange(len(ratings))


@pytest.mark.parametrize("gaps", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_alpha_is_that_of_the_krippendorff_package(gaps: float, seed: int) -> None:
    krippendorff = pytest.importorskip("krippendorff", reason="a test-only package to compare with")
    ratings = ratings_of(40, 12, gaps, seed)
    theirs = krippendorff.alpha(ratings.T, level_of_measurement="ordinal", value_domain=[1, 2, 3, 4, 5])
    assert ordinal_alpha(ratings, one_a_dialogue(ratings)).value == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_icc_is_that_of_the_pingouin_package(seed: int) -> None:
    pingouin = pytest.importorskip("pingouin", reason="a test-only package to compare with")
    import pandas

    ratings = ratings_of(25, 6, 0.0, seed)
    rows = [(i, r, ratings[i, r]) for i in range(25) for r in range(6)]
    table = pingouin.intraclass_corr(pandas.DataFrame(rows, columns=["item", "rater", "x"]), "item", "rater", "x")
    theirs = dict(zip(table["Type"], table["ICC"], strict=True))
    ours = intraclass_correlation(ratings, one_a_dialogue(ratings))
    single, mean = (theirs.get(name, theirs.get(new)) for name, new in (("ICC2", "ICC(A,1)"), ("ICC2k", "ICC(A,k)")))
    assert ours.single.value == pytest.approx(single, abs=1e-9)
    assert ours.mean.value == pytest.approx(mean, abs=1e-9)
    assert ours.raters_an_item == pytest.approx(6)


@pytest.mark.parametrize("seed", range(3))
def test_icc_of_ratings_with_gaps_finds_the_planted_variances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items, raters = 1500, 30
    latent = rng.normal(0, 0.6, (items, 1)) + rng.normal(0, 0.4, (1, raters)) + rng.normal(0, 0.7, (items, raters))
    sparse = np.where(rng.random(latent.shape) < 0.8, np.nan, latent)
    found = intraclass_correlation(sparse, one_a_dialogue(sparse))
    whole = intraclass_correlation(latent, one_a_dialogue(latent))
    assert found.single.value is not None
    assert whole.single.value is not None
    assert found.single.value == pytest.approx(whole.single.value, abs=0.03)


def test_icc_of_ratings_with_gaps_fits_both_effects_at_once() -> None:
    """Against the same sums of squares by ordinary least squares on indicator columns."""
    ratings = ratings_of(12, 5, 0.4, 3)
    item, rater = np.nonzero(~np.isnan(ratings))
    y = ratings[item, rater]
    of_items, of_raters = np.eye(12)[item], np.eye(5)[rater]

    def explained(columns: Floats) -> tuple[float, int]:
        fitted = columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
        return float(fitted @ fitted), int(np.linalg.matrix_rank(columns))

    full, rank = explained(np.hstack([of_items, of_raters]))
    (items_only, items), (raters_only, raters) = explained(of_items), explained(of_raters)
    residual = (float(y @ y) - full) / (len(y) - rank)
    item_variance = (full - raters_only - residual * (rank - raters)) / (len(y) - raters)
    rater_variance = (full - items_only - residual * (rank - items)) / (len(y) - items)
    expected = item_variance / (item_variance + rater_variance + residual)
    assert intraclass_correlation(ratings, one_a_dialogue(ratings)).single.value == pytest.approx(expected, abs=1e-10)


def test_intervals_hold_the_value_and_narrow_with_items() -> None:
    widths = []
    for items in (10, 40, 160):
        ratings = ratings_of(items, 8, 0.3, 1)
        for one in (
            ordinal_alpha(ratings, one_a_dialogue(ratings)),
            intraclass_correlation(ratings, one_a_dialogue(ratings)).single,
        ):
            assert one.value is not None
            assert one.ci_low is not None
            assert one.ci_high is not None
            assert one.ci_low <= one.value <= one.ci_high
        widths.append(one.ci_high - one.ci_low)
    assert widths[0] > widths[1] > widths[2]


def test_ratings_that_are_all_the_same_tell_no_agreement() -> None:
    ratings = np.full((6, 4), 3.0)
    assert ordinal_alpha(ratings, one_a_dialogue(ratings)).value is None
    assert intraclass_correlation(ratings, one_a_dialogue(ratings)).single.value is None


def test_nothing_is_said_of_no_ratings() -> None:
    empty = np.full((3, 4), np.nan)
    assert ordinal_alpha(empty, one_a_dialogue(empty)).value is None
    found = intraclass_correlation(empty, one_a_dialogue(empty))
    assert (found.single.value, found.raters_an_item) == (None, None)
    assert mean_of_item_means(empty[None], one_a_dialogue(empty)).value is None


def test_items_count_alike_however_many_rated_them() -> None:
    scores = unit_score(np.array([[5.0, 5.0, 5.0, 5.0], [1.0, np.nan, np.nan, np.nan]]))
    assert mean_of_item_means(scores[None], np.array([0, 1])).value == 0.5


def test_the_mean_of_several_scales_is_that_of_their_means_whoever_rated_which() -> None:
    scales = np.stack([unit_score(ratings_of(12, 6, gaps, seed)) for seed, gaps in enumerate((0.0, 0.3, 0.6))])
    alone = [mean_of_item_means(one[None], np.arange(12)).value for one in scales]
    found = mean_of_item_means(scales, np.arange(12))
    assert found.value == pytest.approx(np.mean([value for value in alone if value is not None]))
    scales[1] = np.nan
    assert mean_of_item_means(scales, np.arange(12)).value is None


def test_a_system_does_not_differ_from_itself_and_differences_are_those_of_means() -> None:
    scores = unit_score(ratings_of(12, 6, 0.3, 0))[None]
    dialogues = np.arange(12)
    same = difference_of_item_means(scores, dialogues, scores, dialogues)
    reach = 1 - 0.025 ** (1 / 6)
    assert (same.value, same.ci_low, same.ci_high) == (0, -reach, reach)
    other = unit_score(ratings_of(12, 6, 0.3, 1))[None]
    found = difference_of_item_means(scores, dialogues, other, dialogues)
    means = [mean_of_item_means(one, dialogues).value or 0.0 for one in (scores, other)]
    assert found.value == pytest.approx(means[0] - means[1])
    assert difference_of_item_means(scores[:, :1], dialogues[:1], other, dialogues).ci_low is None


@pytest.mark.parametrize(("dialogues", "raters"), [(1, 9), (9, 1), (4, 9), (9, 4)])
def test_fewer_than_five_dialogues_or_raters_have_no_interval(dialogues: int, raters: int) -> None:
    scores = unit_score(ratings_of(dialogues, raters, 0.0, 1))[None]
    found = mean_of_item_means(scores, np.arange(dialogues))
    assert found.value == pytest.approx(scores.mean())
    assert (found.ci_low, found.ci_high) == (None, None)
    assert (found.n_clusters, found.note) == (min(dialogues, raters), TOO_FEW_OR_RATERS)
    apart = difference_of_item_means(scores, np.arange(dialogues), scores / 2, np.arange(dialogues))
    assert (apart.ci_low, apart.note) == (None, TOO_FEW_OR_RATERS)


def test_dialogues_and_raters_without_a_rating_change_nothing() -> None:
    scores = unit_score(ratings_of(12, 6, 0.3, 0))[None]
    padded = np.full((1, 20, 11), np.nan)
    padded[:, 4:16, 3:9] = scores
    assert mean_of_item_means(padded, np.arange(20)) == mean_of_item_means(scores, np.arange(12))


def test_two_systems_differ_on_the_dialogues_that_were_rated_of_both() -> None:
    scores = unit_score(ratings_of(12, 6, 0.0, 0))[None]
    found = difference_of_item_means(scores[:, :9], np.arange(9), scores[:, 2:] / 2, np.arange(2, 12))
    assert found == difference_of_item_means(scores[:, 2:9], np.arange(7), scores[:, 2:9] / 2, np.arange(7))
    assert found.n_clusters == 6


def test_the_fewer_of_dialogues_and_raters_set_the_width() -> None:
    scores = unit_score(ratings_of(60, 5, 0.0, 2))[None]
    found = mean_of_item_means(scores, np.arange(60))
    assert found.n_clusters == 5
    assert found.ci_low is not None
    assert found.ci_high is not None
    of_raters = scores[0].mean(axis=0)
    assert found.ci_high - found.ci_low >= 2 * 2.776 * of_raters.std(ddof=1) / np.sqrt(5) * 0.9


def test_ratings_that_are_all_at_the_top_are_bounded_by_the_number_of_raters() -> None:
    found = mean_of_item_means(np.ones((1, 30, 6)), np.arange(30))
    assert (found.value, found.ci_low, found.ci_high) == (1.0, pytest.approx(0.025 ** (1 / 6)), 1.0)


@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(2, 6), st.sampled_from([0.0, 0.4]))
def test_values_stay_in_range_and_do_not_depend_on_the_order(seed: int, items: int, raters: int, gaps: float) -> None:
    ratings = ratings_of(items, raters, gaps, seed)
    order = np.random.default_rng(seed).permutation(items)
    dialogues = one_a_dialogue(ratings)
    alpha, again = (ordinal_alpha(ratings[rows], dialogues).value for rows in (dialogues, order))
    assert (alpha is None) == (again is None)
    assert alpha is None or (alpha <= 1 and alpha == pytest.approx(again))
    mean = mean_of_item_means(unit_score(ratings)[None], dialogues)
    assert mean.value is None or 0 <= mean.value <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("dialogues", "raters"), [(5, 10), (15, 20), (30, 20)])
def test_the_interval_of_a_mean_covers_the_truth(dialogues: int, raters: int) -> None:
    """Each dialogue is rated by five raters, drawn anew; 95 % is nominal and more is allowed."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        latent = 3 + rng.normal(0, 0.6, (dialogues, 1)) + rng.normal(0, 0.4, (1, raters))
        scores = unit_score(latent + rng.normal(0, 0.7, latent.shape))
        chosen = np.argsort(rng.random(scores.shape), axis=1)[:, :5]
        there = np.zeros(scores.shape, dtype=bool)
        np.put_along_axis(there, chosen, True, axis=1)
        found = mean_of_item_means(np.where(there, scores, np.nan)[None], np.arange(dialogues))
        assert found.ci_low is not None
        assert found.ci_high is not None
        held += found.ci_low <= 0.5 <= found.ci_high
    assert held / 300 >= 0.93
