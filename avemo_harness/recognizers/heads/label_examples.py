"""Recordings as rows for the label head: mean and spread of features over time, by modality."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.trajectory import count_steps
from avemo_harness.recognizers.features.base import RATE_HZ, Features
from avemo_harness.recognizers.features.feature_set import MASK_BITS, FeatureSet
from avemo_harness.recognizers.heads.training import Example, with_progress
from avemo_harness.recognizers.recordings import MODALITIES, LabelledRecording, Modality, Recording
from avemo_harness.torch_setup import Say

LabelExample = Example[LabelledRecording]
"""A labelled recording and its row, float32 (1, width), by modality."""

_LEAST_DEVIATION = 1e-4


def row_width(features: FeatureSet) -> int:
    """Numbers in a recording's row: mean and spread of every feature, then the mask bits."""
    return 2 * (features.width - MASK_BITS) + MASK_BITS


def shown_columns(features: FeatureSet, view: Modality) -> NDArray[np.bool_]:
    """Mask of the columns that a view fills, bool (width,)."""
    shown = features.shown(view)
    return np.concatenate([np.tile(shown[:-MASK_BITS], 2), shown[-MASK_BITS:]])


def pooled(rows: Features) -> Features:
    """Mean and spread over time of features (T, width), the mask bits, their last columns, as they are: (1, 2w + bits).

    >>> pooled(np.array([[1, 1, 1], [3, 1, 1]], dtype=np.float32))
    array([[2., 1., 1., 1.]], dtype=float32)
    """
    features = rows[:, :-MASK_BITS].astype(np.float64)
    row = np.concatenate([features.mean(axis=0), features.std(axis=0), rows[0, -MASK_BITS:]])
    return row[None].astype(np.float32)


def describe(streams: Recording, features: FeatureSet) -> dict[Modality, Features]:
    """The row of a recording under each of its views.

    Without extractors that look at both streams at once the views share a row: what a view does not fill, bits among
    it, is hidden when rows are standardised.

    Raises:
        MediaError: the recording cannot be read.
    """
    count = max(1, count_steps(streams.duration_s, RATE_HZ))
    if any(extractor.modality == "both" for extractor in features.extractors):
        return {view: pooled(rows) for view, rows in features.views(streams, count).items()}
    return dict.fromkeys(streams.views, pooled(features.rows(streams, count, streams.views[0])))


def make_examples(recordings: Sequence[LabelledRecording], features: FeatureSet, say: Say) -> list[LabelExample]:
    """Describe recordings, in their order.

    Raises:
        MediaError: a recording cannot be read.
    """
    return [Example(one, describe(one.streams, features)) for one in with_progress(recordings, say)]


Normalisation = Callable[[Sequence[LabelExample]], Sequence[LabelExample]]
"""Normalisation of the examples of a corpus before training."""


def as_they_are(examples: Sequence[LabelExample]) -> Sequence[LabelExample]:
    """No normalisation: what a recogniser of single recordings needs."""
    return examples


def within_speakers(examples: Sequence[LabelExample]) -> Sequence[LabelExample]:
    """Standardise rows within each speaker and view: what is left is how speakers differ from their usual selves.

    Needs no labels, but all of a speaker's recordings at once, and emotions that vary (it is transductive): of somebody
    heard once nothing is left.
    """
    rows: list[dict[Modality, Features]] = [{} for _ in examples]
    for speaker in sorted({one.recording.speaker for one in examples}):
        for view in MODALITIES:
            indices = [
                index for index, one in enumerate(examples) if one.recording.speaker == speaker and view in one.rows
            ]
            if indices:
                found = _standardised(np.concatenate([examples[index].rows[view] for index in indices]))
                for index, row in zip(indices, found, strict=True):
                    rows[index][view] = row[None]
    return [replace(one, rows=normalised) for one, normalised in zip(examples, rows, strict=True)]


def _standardised(rows: Features) -> Features:
    """Rows (N, width) less their mean, by their deviation; columns that hardly vary are 0, mask bits stay."""
    values = rows.astype(np.float64)
    deviation = values.std(axis=0)
    standard = (values - values.mean(axis=0)) / np.where(deviation > _LEAST_DEVIATION, deviation, np.inf)
    standard[:, -MASK_BITS:] = values[:, -MASK_BITS:]
    found: Features = standard.astype(np.float32)
    return found
