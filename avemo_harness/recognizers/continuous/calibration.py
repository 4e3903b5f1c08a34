"""The calibration of a trained recogniser: thresholds of extreme turns and of large steps for the profile `calibrated`.

They come from the ratings that it learned from. Where those are labels, one place for each recording, they say neither
how far people move nor how far the recogniser lets them go: then they come from its own predictions for the speakers
whom it did not learn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from avemo_harness.inference import one_thread
from avemo_harness.metrics.profiles import calibrate
from avemo_harness.metrics.trajectory import ROUNDING, Trajectory
from avemo_harness.recognizers.continuous.recognizer import ContinuousRecognizer
from avemo_harness.recognizers.corpora.base import RatedRecording
from avemo_harness.recognizers.extractors.base import Features
from avemo_harness.recognizers.streams import View

SEGMENT_STEPS = 12
"""Long recordings are cut into pieces of so many values (6 s), as if they were turns."""


def with_calibration(
    recognizer: ContinuousRecognizer, rated: Sequence[RatedRecording], held_out: Sequence[Mapping[View, Features]]
) -> ContinuousRecognizer:
    """The recogniser with its calibration, or with the reason on its card why it has none.

    Args:
        rated: what it learned from.
        held_out: rows of recordings of speakers that it did not learn from, by view.
    """
    corpus = recognizer.card.training.corpus
    try:
        if are_labels(rated):
            with one_thread():
                predicted = [recognizer.follow(rows, view) for view, rows in map(_first_view, held_out)]
            found = calibrate([turn for one in predicted for turn in _turns(one)], corpus, "predictions")
        else:
            found = calibrate([turn for one in rated for turn in _turns(one.trajectory)], corpus)
        problem = found.problem()
    except ValueError as error:  # of recordings that are too short to show a step
        problem = str(error)
    if problem:
        return replace(recognizer, card=replace(recognizer.card, no_calibration=problem))
    return replace(recognizer, calibration=found)


def are_labels(rated: Sequence[RatedRecording]) -> bool:
    """Whether ratings say no more than a label would: none of them moves within a recording."""
    return all(np.ptp(one.trajectory.values, axis=0).max() <= ROUNDING for one in rated if len(one.trajectory))


def _first_view(rows: Mapping[View, Features]) -> tuple[View, Features]:
    """The view that users' turns are judged by: everything that there is of the recording."""
    return next(iter(rows.items()))


def _turns(trajectory: Trajectory) -> Iterator[Trajectory]:
    values = trajectory.values
    length = SEGMENT_STEPS if len(values) > 4 * SEGMENT_STEPS else max(1, len(values))
    for start in range(0, len(values), length):
        yield replace(trajectory, values=values[start : start + length])
