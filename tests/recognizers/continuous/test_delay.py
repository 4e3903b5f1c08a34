"""Ratings that lag behind: the delay is found, and taken back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.planted_features import planted_features, planted_recording, rated

from avemo_harness.recognizers.heads.trajectory_evaluation import estimate_annotation_delay, shift_ratings
from avemo_harness.recognizers.recordings import RatedRecording


def late(recording: RatedRecording, steps: int) -> RatedRecording:
    values = recording.trajectory.values
    return replace(recording, trajectory=rated(np.concatenate([np.repeat(values[:1], steps, axis=0), values])[:-steps]))


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_a_planted_delay_is_found(steps: int) -> None:
    recordings = [late(planted_recording(f"r{i}", f"s{i}", seed=i, length=80), steps) for i in range(6)]
    assert estimate_annotation_delay(recordings, planted_features()) == steps / 2


def test_there_is_none_where_ratings_are_on_time_or_recordings_too_short_to_tell() -> None:
    recordings = [planted_recording(f"r{i}", f"s{i}", seed=i, length=80) for i in range(6)]
    assert estimate_annotation_delay(recordings, planted_features()) == 0.0
    short = [late(planted_recording(f"r{i}", f"s{i}", seed=i, length=20), 4) for i in range(6)]
    assert estimate_annotation_delay(short, planted_features()) == 0.0


def test_ratings_are_moved_earlier_and_lose_their_end() -> None:
    recording = planted_recording("r", "s", seed=1, length=10)
    moved = shift_ratings(late(recording, 3), 1.5)
    np.testing.assert_array_equal(moved.trajectory.values, recording.trajectory.values[:7])
    assert shift_ratings(recording, 0.0).trajectory.values.shape == (10, 2)
