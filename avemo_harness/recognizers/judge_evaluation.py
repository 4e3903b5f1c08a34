"""Evaluate a judge that was not trained here on a corpus: what any `TrajectoryJudge` follows, against people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from avemo_harness.errors import UsageError
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.heads.trajectory import DIMENSIONS
from avemo_harness.recognizers.heads.trajectory_evaluation import (
    SplitResult,
    TrajectoryPrediction,
    recordings_to_evaluate,
    split_result,
)
from avemo_harness.recognizers.judging import TrajectoryJudge, judge_modalities
from avemo_harness.recognizers.recordings import (
    SINGLE_MODALITIES,
    Corpus,
    Modality,
    RatedRecording,
    Recording,
    SingleModality,
)


def evaluate_judge(judge: TrajectoryJudge, corpus: Corpus) -> SplitResult:
    """As `evaluate_trained`, of any judge, under the views that it makes use of; ratings are not moved.

    Raises:
        UsageError: there is nothing rated or labelled, or it does not give the values that ratings are compared with.
        MediaError: a recording cannot be read.
    """
    rated, labelled, part = recordings_to_evaluate(corpus)
    modalities = judge_modalities(judge)
    return split_result(
        part,
        [_against_ratings(one, _follow(judge, one.streams, modalities)) for one in rated],
        [0.0] if rated else [],
        corpus,
        labelled,
        [_follow(judge, one.streams, modalities) for one in labelled],
    )


def _follow(
    judge: TrajectoryJudge, streams: Recording, modalities: Collection[SingleModality]
) -> dict[Modality, Trajectory]:
    """The trajectory under each view, of valence and arousal on the unit scale."""
    found: dict[Modality, Trajectory] = {}
    for view in streams.views:
        shown = SINGLE_MODALITIES if view == "both" else (view,)
        if not set(shown) <= set(modalities):
            continue
        trajectory = judge.trajectory(streams, view)
        if trajectory.rate_hz != RATE_HZ or not set(DIMENSIONS) <= set(trajectory.columns):
            raise UsageError(
                f"the judge gives {', '.join(trajectory.columns)} at {trajectory.rate_hz:g} values a second; it is "
                f"evaluated by {' and '.join(DIMENSIONS)} at {RATE_HZ:g}"
            )
        unit = trajectory.on("unit")
        values = np.column_stack([unit.column(name) for name in DIMENSIONS])
        found[view] = replace(unit, values=values, columns=DIMENSIONS)
    return found


def _against_ratings(recording: RatedRecording, followed: Mapping[Modality, Trajectory]) -> TrajectoryPrediction:
    """Ratings and trajectories as far as both go."""
    count = min([len(recording.trajectory), *map(len, followed.values())])
    ratings = replace(recording.trajectory, values=recording.trajectory.values[:count])
    values = {view: one.values[:count] for view, one in followed.items()}
    return TrajectoryPrediction(replace(recording, trajectory=ratings), 0, values)
