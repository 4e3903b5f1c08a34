"""Values as text: digits that the items carry, no minus before a zero, and why there is no interval."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.report.values import figure, shown_interval, shown_value, span
from avemo_harness.scorers.base import MetricValue

MEAN = MetricValue(0.78888, 0.61, 0.9, n=9, n_invalid=0, n_errors=0)


@pytest.mark.parametrize(("n", "value", "interval"), [(9, "0.79", "0.61-0.90"), (10, "0.789", "0.610-0.900")])
def test_a_value_of_fewer_than_ten_items_has_two_digits_and_so_has_its_interval(
    n: int, value: str, interval: str
) -> None:
    metric = replace(MEAN, n=n)
    assert (shown_value(metric), shown_interval(metric)) == (value, interval)


@given(st.floats(-2, 2), st.sampled_from([2, 3]), st.booleans())
def test_no_figure_is_a_negative_zero_and_each_is_the_number_that_it_shows(
    value: float, digits: int, signed: bool
) -> None:
    text = figure(value, digits, signed)
    assert not re.fullmatch(r"-0\.0+", text)
    assert float(text) == pytest.approx(value, abs=0.5 * 10**-digits + 1e-12)


def test_an_interval_with_a_sign_has_no_dash_between_its_ends() -> None:
    assert span(-0.05, -0.0001) == "-0.050 to 0.000"
    assert span(0.05, 0.1, dash="–") == "0.050–0.100"
    assert shown_interval(replace(MEAN, n=99), signed=True) == "+0.610 to +0.900"


def test_where_there_is_no_interval_its_note_says_why() -> None:
    alone = replace(MEAN, ci_low=None, ci_high=None)
    assert shown_interval(alone) == "—"
    assert shown_interval(replace(alone, note="too few dialogues")) == "too few dialogues"
    assert shown_interval(replace(alone, value=None, note="too few dialogues")) == "—"
