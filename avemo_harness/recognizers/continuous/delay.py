"""How far ratings lag behind what they are of: raters who follow a recording live need a few seconds to react."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.agreement import concordance, series_moments
from avemo_harness.recognizers.continuous.network import DIMENSIONS
from avemo_harness.recognizers.corpora.base import RatedRecording
from avemo_harness.recognizers.extractors.base import RATE_HZ
from avemo_harness.recognizers.feature_set import FeatureSet

LONGEST_S = 6.0
_RIDGE = 10.0
_FOLDS = 3

Floats = NDArray[np.float64]


def shifted(recording: RatedRecording, delay_s: float) -> RatedRecording:
    """The recording with its ratings moved earlier, rounded to half seconds; as many are lost at the end."""
    steps = round(delay_s * RATE_HZ)
    trajectory = recording.trajectory
    return replace(recording, trajectory=replace(trajectory, values=trajectory.values[steps:]))


def find_delay(recordings: Sequence[RatedRecording], features: FeatureSet) -> float:
    """The delay in seconds, up to 6, at which ratings are best predicted from the rows of the same time.

    Judged by ridge regression from the largest view, over folds of groups, mean CCC of valence and arousal. All delays
    are compared on equally many values. Search on training recordings only.

    Raises:
        MediaError: a recording cannot be read.
    """
    most = round(LONGEST_S * RATE_HZ)
    usable = [one for one in recordings if len(one.trajectory) > 2 * most and one.streams.views]
    if len({one.group for one in usable}) < 2:
        return 0.0
    rows, rated, groups = [], [], []
    for one in usable:
        count = len(one.trajectory) - most
        rows.append(features.rows(one.streams, len(one.trajectory), one.streams.views[0])[:count])
        values = np.column_stack([one.trajectory.column(name) for name in DIMENSIONS])
        rated.append(np.concatenate([values[lag : lag + count] for lag in range(most + 1)], axis=1))
        groups += [one.group] * count
    truth = np.concatenate(rated)
    predicted = _predict_held_out(np.concatenate(rows).astype(np.float64), truth, groups)
    moments = np.stack([series_moments(predicted[:, i], truth[:, i]) for i in range(truth.shape[1])])
    scores = np.nanmean(concordance(moments).reshape(most + 1, len(DIMENSIONS)), axis=1)
    return float(np.argmax(scores) / RATE_HZ)


def _predict_held_out(rows: Floats, rated: Floats, groups: Sequence[str]) -> Floats:
    """Ridge regression of every column of ratings, rows of a fold predicted from those of the others: (N, columns)."""
    _, members = np.unique(np.array(groups, dtype=np.str_), return_inverse=True)
    folds = members % _FOLDS
    predicted = np.zeros_like(rated)
    for fold in np.unique(folds):
        learned = folds != fold
        mean, deviation = rows[learned].mean(axis=0), rows[learned].std(axis=0) + 1e-6
        scaled, centre = (rows - mean) / deviation, rated[learned].mean(axis=0)
        x = scaled[learned]
        weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ (rated[learned] - centre))
        predicted[~learned] = scaled[~learned] @ weights + centre
    return predicted
