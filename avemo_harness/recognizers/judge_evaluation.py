"""Evaluate a judge that was not trained here on a corpus: what any `TrajectoryJudge` follows, against people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from avemo_harness.errors import SampleError, UsageError
from avemo_harness.metrics.trajectory import OVERSHOOT, Trajectory
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.heads.trajectory import DIMENSIONS
from avemo_harness.recognizers.heads.trajectory_evaluation import (
    SplitResult,
    TrajectoryPrediction,
    recordings_to_evaluate,
    split_result,
)
from avemo_harness.recognizers.judging import TrajectoryJudge, judge_modalities, naming
from avemo_harness.recognizers.recordings import (
    SINGLE_MODALITIES,
    Corpus,
    LabelledRecording,
    Modality,
    RatedRecording,
    Recording,
    SingleModality,
)
from avemo_harness.text import Notify


def evaluate_judge(judge: TrajectoryJudge, corpus: Corpus, say: Notify = lambda sentence: None) -> SplitResult:
    """As `evaluate_trained`, of any judge, under the views that it makes use of; ratings are not moved.

    Recordings that the judge fails on are left out; `say` counts them, and values that were clipped to the scale.

    Raises:
        UsageError: there is nothing rated or labelled, the judge does not give the values that ratings are compared
            with, or it fails on every recording.
    """
    rated, labelled, part = recordings_to_evaluate(corpus)
    modalities = judge_modalities(judge)
    followed: dict[str, dict[Modality, Trajectory]] = {}
    failures: list[SampleError] = []
    every: tuple[RatedRecording | LabelledRecording, ...] = (*rated, *labelled)
    for one in every:
        try:
            with naming(one.recording_id):
                followed[one.recording_id] = _follow(judge, one.streams, modalities)
        except SampleError as error:
            failures.append(error)
    if not followed:
        raise UsageError(f"the judge fails on each of {len(failures)} recordings, such as {failures[0]}")
    if failures:
        say(f"left out {len(failures)} of {len(every)} recordings that the judge fails on, such as {failures[0]}")
    clipped = [sum(one.n_clipped for one in views.values()) for views in followed.values()]
    if any(clipped):
        say(
            f"{sum(clipped)} values of {sum(map(bool, clipped))} recordings were off the judge's scale by at most "
            f"{OVERSHOOT:g} and are clipped"
        )
    alone = [one for one in labelled if one.recording_id in followed]
    return split_result(
        part,
        [_against_ratings(one, followed[one.recording_id]) for one in rated if one.recording_id in followed],
        [0.0] if rated else [],
        corpus,
        alone,
        [followed[one.recording_id] for one in alone],
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
