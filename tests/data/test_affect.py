"""Paths of valence and arousal: where they start, where they go, and how they are stored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.synthesis.affect import AffectCues, AffectPath

seeds = st.integers(0, 2**32 - 1)
emotions = st.sampled_from(EMOTIONS)
TIMES_S = np.arange(0, 3, 0.01)


def path_to(emotion: str, seed: int = 1) -> AffectPath:
    return AffectPath.draw(emotion, np.random.default_rng(seed))


@given(emotions, seeds, st.floats(0, 1))
def test_every_path_stays_on_the_unit_scale_and_starts_neutral(emotion: str, seed: int, intensity: float) -> None:
    affect = path_to(emotion, seed).at(TIMES_S, intensity)
    for track in (affect.valence, affect.arousal):
        assert track[0] == 0.5
        assert track.min() >= 0
        assert track.max() <= 1


@given(emotions, seeds, st.floats(0.05, 60))
def test_two_values_a_second_are_stored(emotion: str, seed: int, duration_s: float) -> None:
    affect = path_to(emotion, seed).rated(duration_s)
    assert len(affect.valence) == len(affect.arousal) == max(1, round(2 * duration_s))


@pytest.mark.parametrize(("emotion", "valence", "arousal"), [("happy", 1, 1), ("angry", -1, 1), ("sad", -1, -1)])
@given(seed=seeds)
def test_an_emotion_is_reached_within_a_second(emotion: str, valence: int, arousal: int, seed: int) -> None:
    affect = path_to(emotion, seed).at(TIMES_S)
    late = TIMES_S > 1
    assert (valence * (affect.valence[late] - 0.5) > 0.1).all()
    assert (arousal * (affect.arousal[late] - 0.5) > 0.05).all()


@given(emotions, seeds)
def test_no_intensity_is_neutral(emotion: str, seed: int) -> None:
    affect = path_to(emotion, seed).at(TIMES_S, 0.0)
    assert (affect.valence == 0.5).all()
    assert (affect.arousal == 0.5).all()


@pytest.mark.parametrize("emotion", ["joy", "anger", "sorrow"])
def test_each_corner_is_nearest_to_its_own_emotion(emotion: str) -> None:
    named = {"happy": "joy", "angry": "anger", "sad": "sorrow"}
    nearness = {
        named.get(label, label): getattr(AffectCues.of(path_to(label).at(TIMES_S)), emotion).mean()
        for label in EMOTIONS
    }
    assert max(nearness, key=lambda label: nearness[label]) == emotion
