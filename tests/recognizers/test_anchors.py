"""Anchors of emotions: where they come from, and what a user may put in their stead."""

from __future__ import annotations

import pytest

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.synthesis.affect import EMOTION_TARGETS
from avemo_harness.errors import UsageError
from avemo_harness.recognizers.anchors import ANCHORS, ANCHORS_EXAMPLE, parse_anchors

WARRINER = {
    "neutral": (5.5, 3.45),
    "calm": (6.89, 1.67),
    "fear": (2.93, 6.14),
    "disgust": (3.32, 5.0),
    "surprise": (7.44, 6.57),
    "contempt": (3.22, 4.61),
}
"""Mean valence and arousal of words on the scale 1 to 9, as published."""


def test_the_benchmarks_emotions_lie_where_its_own_voice_and_face_put_them() -> None:
    assert {emotion: ANCHORS[emotion] for emotion in EMOTIONS} == EMOTION_TARGETS


def test_other_emotions_lie_where_people_rate_their_words_relative_to_neutral() -> None:
    others = set(ANCHORS) - set(EMOTIONS)
    assert others == set(WARRINER) - {"neutral"}
    for emotion in others:
        rated = [0.5 + (own - neutral) / 8 for own, neutral in zip(WARRINER[emotion], WARRINER["neutral"], strict=True)]
        assert ANCHORS[emotion] == pytest.approx(rated, abs=0.006)


def test_some_anchors_are_replaced_and_the_others_stay() -> None:
    found = parse_anchors(ANCHORS_EXAMPLE)
    assert found == {**ANCHORS, "happy": (0.9, 0.7), "sad": (0.2, 0.3)}
    assert parse_anchors("happy=0.9/0.7, sad=0.2/0.3") == found
    assert parse_anchors("") == parse_anchors(None) == ANCHORS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hapy=0.9/0.7", "no emotion 'hapy'; nearest: 'happy'"),
        ("happy=0.9", "expected emotion=valence/arousal, such as happy="),
        ("happy=9/0.7", "expected numbers from 0 to 1, found '9'"),
        ("happy=nan/0.7", "expected numbers from 0 to 1, found 'nan'"),
        ("happy=high/0.7", "expected numbers from 0 to 1, found 'high'"),
    ],
)
def test_anchors_that_mean_nothing_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_anchors(text)
