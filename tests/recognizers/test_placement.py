"""Labels as points: where an intensity puts them, and what a user may put in its stead."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.errors import UsageError
from avemo_harness.recognizers.anchors import ANCHORS, parse_anchors
from avemo_harness.recognizers.placement import INTENSITIES, PLACEMENT, Placement, parse_intensities


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_a_label_of_no_known_intensity_lies_at_its_anchor_and_so_does_a_medium_one(emotion: str) -> None:
    assert PLACEMENT.point(emotion, None) == PLACEMENT.point(emotion, "medium") == ANCHORS[emotion]


@pytest.mark.parametrize("emotion", ["happy", "angry", "sad"])
def test_intensity_scales_the_distance_from_neutral(emotion: str) -> None:
    for intensity, factor in INTENSITIES.items():
        point = PLACEMENT.point(emotion, intensity)  # type: ignore[arg-type]
        expected = [0.5 + factor * (anchor - 0.5) for anchor in ANCHORS[emotion]]
        assert point == pytest.approx(expected, abs=1e-6)


def test_neutral_stays_where_it_is_and_others_are_measured_from_it() -> None:
    moved = Placement({"neutral": (0.4, 0.6), "sad": (0.2, 0.2)}, {"low": 0.5, "medium": 1.0, "high": 2.0})
    assert moved.point("neutral", "high") == (0.4, 0.6)
    assert moved.point("sad", "low") == (0.3, 0.4)
    assert moved.point("sad", "high") == (0.0, 0.0)  # cut to the scale


def test_some_factors_are_replaced_and_the_others_stay() -> None:
    assert parse_intensities("low=0.5,high=1") == {**INTENSITIES, "low": 0.5, "high": 1.0}
    assert parse_intensities(None) == parse_intensities("") == INTENSITIES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hihg=1.5", "no such intensity; nearest: 'high'"),
        ("high=much", "expected a factor on the distance from neutral, 0 to 4, such as 1.25"),
        ("high=-1", "expected a factor"),
        ("high=nan", "expected a factor"),
        ("high", "arguments are written key=value"),
    ],
)
def test_factors_that_mean_nothing_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_intensities(text)


def test_it_knows_which_anchors_are_a_users_own() -> None:
    assert Placement(parse_anchors("sad=0.2/0.3,fear=0.1/0.9"), INTENSITIES).replaced == ("sad", "fear")
    assert PLACEMENT.replaced == ()


def test_it_is_read_back_from_a_card_as_it_was() -> None:
    assert Placement.from_json(json.loads(json.dumps(asdict(PLACEMENT)))) == PLACEMENT
