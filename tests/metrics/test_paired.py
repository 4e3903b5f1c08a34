"""Paired differences: tests against scipy and statsmodels, intervals and error rates on planted data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from avemo_harness.metrics import classification
from avemo_harness.metrics.bootstrap import CONSTANT, TOO_FEW, Estimate
from avemo_harness.metrics.paired import (
    MOST_TO_TRY,
    SWAPS,
    detectable_difference,
    difference,
    holm,
    mcnemar_test,
    swap_test,
)

Floats = NDArray[np.float64]


def share(sums: Floats) -> Floats:
    ratio: Floats = sums[:, 1] / sums[:, 0]
    return ratio


def counts_of(values: Floats, clusters: NDArray[np.int64]) -> Floats:
    """Number and sum of the values of each cluster."""
    number = int(clusters.max()) + 1
    return np.stack([np.bincount(clusters, minlength=number), np.bincount(clusters, values, number)], axis=1)


def test_the_difference_is_the_second_side_less_the_first() -> None:
    first, second = np.array([[2.0, 1.0], [2.0, 0.0]] * 10), np.array([[2.0, 2.0], [2.0, 2.0]] * 10)
    estimate = difference(first, second, share)
    assert estimate.value == pytest.approx(0.75)
    assert estimate.ci_low is not None
    assert estimate.ci_high is not None
    assert 0.6 < estimate.ci_low < 0.75 < estimate.ci_high < 0.9
    assert difference(second, first, share).value == pytest.approx(-0.75)


def test_dialogues_without_a_value_on_either_side_change_nothing() -> None:
    rng = np.random.default_rng(0)
    first, second = (np.stack([np.ones(12), rng.random(12)], axis=1) for _ in range(2))
    nothing, something = np.zeros((40, 2)), np.stack([np.ones(40), rng.random(40)], axis=1)
    found = difference(np.vstack([first, nothing, something]), np.vstack([second, something, nothing]), share)
    assert found == difference(first, second, share)
    assert found.n_clusters == 12


def test_a_difference_that_is_the_same_in_every_dialogue_and_not_0_has_no_interval() -> None:
    first, second = np.array([[2.0, 1.0], [2.0, 0.0]] * 5), np.array([[2.0, 2.0], [2.0, 1.0]] * 5)
    assert difference(first, second, share) == Estimate(0.5, None, None, 10, CONSTANT)


def test_nothing_is_said_of_no_dialogue_and_no_interval_or_p_value_of_one() -> None:
    nothing, one = np.zeros((0, 2)), np.array([[3.0, 1.0]])
    assert difference(nothing, nothing, lambda sums: sums[:, 1] / np.where(sums[:, 0] > 0, sums[:, 0], np.nan)) == (
        Estimate(None, None, None)
    )
    assert difference(one, one, share) == Estimate(0.0, None, None, 1, TOO_FEW)
    assert swap_test(nothing, nothing, share) is None
    assert swap_test(one, one, share) is None


@pytest.mark.parametrize("clusters", [5, 30])
def test_sides_that_are_equal_may_differ_by_what_so_many_dialogues_would_not_show(clusters: int) -> None:
    counts = np.array([[2.0, 1.0]] * clusters)
    reach = 1 - 0.025 ** (1 / clusters)
    assert difference(counts, counts, share) == Estimate(0.0, -reach, reach, clusters, CONSTANT)
    assert difference(counts, counts, share, span=2.0).ci_high == pytest.approx(2 * reach)
    assert swap_test(counts, counts, share) == 1.0


@pytest.mark.parametrize("clusters", [2, 5, MOST_TO_TRY])
def test_every_swap_of_few_dialogues_is_tried_as_scipy_does(clusters: int) -> None:
    from scipy.stats import permutation_test

    rng = np.random.default_rng(clusters)
    apart = rng.normal(0.3, 1.0, clusters)
    first = np.stack([np.ones(clusters), np.zeros(clusters)], axis=1)
    second = np.stack([np.ones(clusters), apart], axis=1)
    theirs = permutation_test((apart,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert swap_test(first, second, share) == pytest.approx(theirs.pvalue)


def test_of_many_dialogues_random_swaps_come_near_the_exact_test() -> None:
    items = 60
    first = np.stack([np.ones(items), np.arange(items) < 20], axis=1).astype(np.float64)
    second = np.stack([np.ones(items), (np.arange(items) >= 12) & (np.arange(items) < 45)], axis=1).astype(np.float64)
    exact = mcnemar_test(12, 25)
    error = math.sqrt(exact * (1 - exact) / SWAPS)
    assert swap_test(first, second, share) == pytest.approx(exact, abs=4 * error)


def test_a_p_value_is_never_zero() -> None:
    first, second = np.array([[1.0, 0.0]] * 100), np.array([[1.0, 1.0]] * 100)
    assert swap_test(first, second, share) == pytest.approx(1 / SWAPS)


def test_macro_f1_is_computed_anew_in_every_swap() -> None:
    """With one dialogue that differs, the two swaps give the same difference with either sign."""
    first = np.zeros((3, 2, 3))
    first[:, 0, 0] = first[:, 1, 1] = 2
    second = first.copy()
    second[0, 0] = [0, 2, 0]
    p = swap_test(
        first.reshape(3, -1),
        second.reshape(3, -1),
        lambda sums: classification.macro_f1(sums.reshape(-1, 2, 3), np.array([True, True])),
    )
    assert p == 1.0


def test_mcnemar_is_that_of_statsmodels() -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables", reason="pip install statsmodels")
    for only_first in range(0, 40, 3):
        for only_second in range(0, 40, 4):
            theirs = tables.mcnemar([[5, only_first], [only_second, 7]], exact=True).pvalue
            assert mcnemar_test(only_first, only_second) == pytest.approx(min(1.0, theirs))


def test_holm_is_that_of_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="pip install statsmodels")
    for seed in range(50):
        rng = np.random.default_rng(seed)
        p_values = rng.choice([0.0, 0.001, 0.02, 0.05, 1.0, *rng.random(3)], size=1 + seed % 20).tolist()
        assert holm(p_values) == pytest.approx(multitest.multipletests(p_values, method="holm")[1].tolist())


@given(st.lists(st.floats(0, 1), max_size=30))
def test_adjusted_p_values_keep_their_order_and_are_no_smaller(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


def test_what_could_be_detected_follows_from_the_interval() -> None:
    assert detectable_difference(Estimate(0.1, 0.1 - 1.96, 0.1 + 1.96)) == pytest.approx(2.8016, abs=1e-3)
    assert detectable_difference(Estimate(0.0, -0.1, 0.1, 30, CONSTANT)) is None
    assert detectable_difference(Estimate(0.0, None, None)) is None


class Simulation:
    """Runs on dialogues of 1 to 8 turns, whose turns, and whose two answers to a turn, are alike."""

    def __init__(self, dialogues: int, planted: float, repeats: int = 1_000) -> None:
        self.dialogues, self.planted, self.repeats = dialogues, planted, repeats

    def means(self, seed: int) -> tuple[Floats, Floats]:
        """Scores of turns."""
        rng, clusters = self._clusters(seed)
        turns = rng.normal(0, 0.1, self.dialogues)[clusters] + rng.normal(0, 0.15, len(clusters))
        first, second = (
            0.6 + turns + rng.normal(0, 0.06, self.dialogues)[clusters] + rng.normal(0, 0.1, len(clusters))
            for _ in range(2)
        )
        return counts_of(first, clusters), counts_of(second + self.planted, clusters)

    def hits(self, seed: int) -> tuple[Floats, Floats]:
        """Right answers, at a chance of 0.6 on the first side."""
        from scipy.special import ndtri

        rng, clusters = self._clusters(seed)
        ease = rng.normal(0, 0.5, self.dialogues)[clusters] + rng.normal(0, 0.5, len(clusters))
        noise = (rng.normal(0, math.sqrt(0.5), len(clusters)) for _ in range(2))
        chances = (0.6, 0.6 + self.planted)
        first, second = (
            (ease + own < float(ndtri(chance))).astype(np.float64) for own, chance in zip(noise, chances, strict=True)
        )
        return counts_of(first, clusters), counts_of(second, clusters)

    def _clusters(self, seed: int) -> tuple[np.random.Generator, NDArray[np.int64]]:
        rng = np.random.default_rng([seed, self.dialogues])
        return rng, np.repeat(np.arange(self.dialogues), rng.integers(1, 9, self.dialogues))


def coverage(simulation: Simulation, kind: str) -> float:
    """How often the interval holds the planted difference."""
    held = 0
    for seed in range(simulation.repeats):
        estimate = difference(*getattr(simulation, kind)(seed), share)
        assert estimate.ci_low is not None
        assert estimate.ci_high is not None
        held += estimate.ci_low <= simulation.planted <= estimate.ci_high
    return held / simulation.repeats


def alarms(simulation: Simulation, kind: str) -> float:
    """How often the test says that there is a difference."""
    p_values = [swap_test(*getattr(simulation, kind)(seed), share) for seed in range(simulation.repeats)]
    return sum(p is not None and p <= 0.05 for p in p_values) / simulation.repeats


@pytest.mark.slow
@pytest.mark.parametrize("dialogues", [100, 12])
@pytest.mark.parametrize("kind", ["hits", "means"])
def test_a_planted_difference_is_covered_in_95_of_100_runs(dialogues: int, kind: str) -> None:
    assert 0.93 <= coverage(Simulation(dialogues, 0.08), kind) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize(("dialogues", "kind"), [(100, "hits"), (12, "hits"), (12, "means")])
def test_no_more_than_5_of_100_runs_show_a_difference_that_is_not_there(dialogues: int, kind: str) -> None:
    assert alarms(Simulation(dialogues, 0.0), kind) <= 0.065


@pytest.mark.slow
def test_what_could_be_detected_is_detected_in_four_of_five_runs() -> None:
    sides = [Simulation(100, 0.0).hits(seed) for seed in range(20)]
    detectable = [detectable_difference(difference(*both, share)) for both in sides]
    planted = float(np.mean([one for one in detectable if one is not None]))
    assert 0.72 <= alarms(Simulation(100, planted, repeats=300), "hits") <= 0.88
