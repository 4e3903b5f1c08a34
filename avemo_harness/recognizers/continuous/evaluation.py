"""How well a recogniser's trajectories agree with people's: concordance by view and dimension, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.agreement import (
    concordance,
    concordance_with_labels,
    correlation,
    root_mean_square_error,
    series_moments,
)
from avemo_harness.metrics.bootstrap import ClusterBootstrap
from avemo_harness.recognizers.continuous.card import Agreement
from avemo_harness.recognizers.continuous.network import DIMENSIONS
from avemo_harness.recognizers.continuous.recognizer import ContinuousRecognizer
from avemo_harness.recognizers.continuous.training import VIEWS
from avemo_harness.recognizers.corpora.base import RatedRecording
from avemo_harness.recognizers.streams import View

Floats = NDArray[np.float64]


def predict(recognizer: ContinuousRecognizer, recordings: Sequence[RatedRecording]) -> list[dict[View, Floats]]:
    """The trajectories of each recording under each of its views: (T, 2), as many values as it has ratings.

    Raises:
        MediaError: a recording cannot be read.
    """
    found = []
    for one in recordings:
        rows = recognizer.features.views(one.streams, len(one.trajectory))
        found.append({view: recognizer.follow(of_view, view).values for view, of_view in rows.items()})
    return found


def agreements(
    recordings: Sequence[RatedRecording], predicted: Sequence[Mapping[View, Floats]], part: str
) -> tuple[Agreement, ...]:
    """Agreement of predicted trajectories with the ratings; a recording counts where it has the view.

    Args:
        part: what the recordings are called on the card.
    """
    found = []
    for view in VIEWS:
        for column, dimension in enumerate(DIMENSIONS):
            moments = [
                series_moments(values[view][:, column], one.trajectory.column(dimension))
                for one, values in zip(recordings, predicted, strict=True)
                if view in values
            ]
            if not moments:
                continue
            table = np.stack(moments)
            total, of_recordings = table.sum(axis=0), concordance_with_labels(table)
            estimate = ClusterBootstrap(table).estimate(concordance, low=-1.0)
            found.append(
                Agreement(
                    part=part,
                    view=view,
                    dimension=dimension,
                    ccc=estimate.value,
                    ccc_low=estimate.ci_low,
                    ccc_high=estimate.ci_high,
                    ccc_of_recordings=_mean(of_recordings),
                    rmse=_mean(root_mean_square_error(total[None])),
                    pearson=_mean(correlation(total[None])),
                    n_recordings=len(moments),
                    n_values=int(total[0]),
                    n_constant=int(np.isnan(of_recordings).sum()),
                )
            )
    return tuple(found)


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
