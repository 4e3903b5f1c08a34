"""SEQ puts a share of dialogues on the scale that the published cohort sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.metrics.spoken_eq import COHORT, HIGHEST, LOWEST, spoken_eq

PUBLISHED = (88.39, 107.22, 115.29, 98.12, 89.88, 147.26, 86.59, 91.76, 108.55, 123.45, 100.00)
"""SEQ of the random baseline and the ten systems of Wu et al., arXiv:2606.25990v1, in the order of `COHORT`."""

shares = st.floats(0.0, 1.0)
cohorts = st.lists(st.integers(0, 1000), min_size=5, max_size=20, unique=True).map(lambda xs: [x / 1000 for x in xs])


def test_the_cohort_has_its_published_scores_as_far_as_three_digits_tell() -> None:
    found = spoken_eq(np.array(COHORT))
    # The baseline's share is 0.250 by theory, and was drawn.
    assert found[0] == pytest.approx(PUBLISHED[0], abs=0.3)
    assert found[1:] == pytest.approx(PUBLISHED[1:], abs=0.11)


@given(st.lists(shares, min_size=2, max_size=20), cohorts)
def test_a_higher_share_never_has_a_lower_score_and_none_leaves_the_scale(
    found: list[float], cohort: list[float]
) -> None:
    scores = spoken_eq(np.sort(found), cohort)
    assert (np.diff(scores) >= 0).all()
    assert LOWEST <= scores.min() <= scores.max() <= HIGHEST


@given(cohorts)
def test_the_median_of_the_cohort_scores_one_hundred_and_half_of_it_lies_within_ten_points(cohort: list[float]) -> None:
    scores = spoken_eq(np.array(cohort), cohort)
    assert spoken_eq(np.median(cohort), cohort) == pytest.approx(100)
    # Of a normal distribution, half lies within 0.6745 standard deviations.
    assert np.median(np.abs(scores - 100)) == pytest.approx(15 / 1.4826)


@given(cohorts, st.floats(0.1, 10), st.floats(-1, 1))
def test_only_the_place_within_the_cohort_counts(cohort: list[float], factor: float, shift: float) -> None:
    moved = [factor * share + shift for share in cohort]
    assert spoken_eq(np.array(moved), moved) == pytest.approx(spoken_eq(np.array(cohort), cohort), rel=1e-6)


def test_a_share_that_is_undefined_has_no_score() -> None:
    assert np.isnan(spoken_eq(np.array([np.nan, 0.5]))).tolist() == [True, False]
