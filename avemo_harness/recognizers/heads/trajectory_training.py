"""Train the trajectory head: 1 - CCC loss, modality dropout, early stopping, and the raters' delay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import UsageError
from avemo_harness.metrics.agreement import concordance, series_moments
from avemo_harness.metrics.classification import Floats
from avemo_harness.recognizers.card import TrajectoryCard
from avemo_harness.recognizers.features.base import RATE_HZ, Features
from avemo_harness.recognizers.features.feature_set import FeatureSet, Scaling, fit_scaling
from avemo_harness.recognizers.heads.training import (
    Example,
    Settings,
    Weights,
    fit_network,
    provenance,
    shuffled_batches,
    training_record,
    with_progress,
)
from avemo_harness.recognizers.heads.trajectory import (
    DIMENSIONS,
    HIDDEN,
    ContinuousRecognizer,
    concordance_loss,
    make_network,
    padded,
    with_calibration,
)
from avemo_harness.recognizers.recordings import MODALITIES, Modality, RatedRecording
from avemo_harness.text import fixed
from avemo_harness.torch_setup import Say

if TYPE_CHECKING:
    import torch

_SAY_EVERY = 10
_LEAST_STEPS = 8
"""Steps an epoch, for corpora of a few long recordings."""
_MOST_NORM = 1.0
"""Of gradients, which a recurrent network may blow up."""

RatedExample = Example[RatedRecording]
"""A rated recording and as many rows as it has ratings, by modality."""
Ratings = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectorySettings(Settings):
    """Training settings of the trajectory head.

    Args:
        patience: epochs without gain after which the learning rate is halved.
    """

    hidden: int = HIDDEN
    weight_decay: float = 1e-4
    most_epochs: int = 80
    patience: int = 5


def make_examples(recordings: Sequence[RatedRecording], features: FeatureSet, say: Say) -> list[RatedExample]:
    """Describe recordings, in their order.

    Raises:
        MediaError: a recording cannot be read.
    """
    return [Example(one, features.views(one.streams, len(one.trajectory))) for one in with_progress(recordings, say)]


def train_recognizer(
    training: Sequence[RatedRecording],
    validation: Sequence[RatedRecording],
    features: FeatureSet,
    corpus: str,
    settings: TrajectorySettings | None = None,
    say: Say = lambda sentence: None,
) -> ContinuousRecognizer:
    """Train on some recordings; those of the validation part decide when it is enough.

    Args:
        corpus: of which they are, for the card.

    Raises:
        UsageError: a part is empty, or has no ratings that vary.
        MediaError: a recording cannot be read.
    """
    settings = settings or TrajectorySettings()
    if not training or not validation:
        raise UsageError(
            f"expected recordings to train and to validate on, found {len(training)} and {len(validation)}"
        )
    if overlap := {one.group for one in training} & {one.group for one in validation}:
        raise UsageError(f"{min(overlap)!r} is in the training and in the validation part; keep a group on one side")
    say(f"extracting features of {len(training) + len(validation)} recordings")
    shown, held_out = make_examples(training, features, say), make_examples(validation, features, say)
    scaling = fit_scaling([one.rows for one in shown], features.shown)
    weights = _fit(shown, held_out, features, scaling, settings, say)
    rated = [*training, *validation]
    seconds = float(sum(len(one.trajectory) for one in rated) / RATE_HZ)
    record = training_record(corpus, rated, fingerprint(rated), seconds, _split_text(validation), settings.seed)
    card = TrajectoryCard(record, (), *provenance(features))
    recognizer = ContinuousRecognizer(features, scaling, weights, None, card)
    return with_calibration(recognizer, rated, [one.rows for one in held_out])


def _split_text(validation: Sequence[RatedRecording]) -> str:
    groups = len({one.group for one in validation})
    return f"validated on {groups} other {'speaker' if groups == 1 else 'speakers'}"


def fingerprint(recordings: Sequence[RatedRecording]) -> str:
    """Digest (hex) of recordings and ratings, in order."""
    digest = hashlib.sha256()
    for one in recordings:
        digest.update(" ".join([one.recording_id, *one.streams.digests]).encode() + one.trajectory.values.tobytes())
    return digest.hexdigest()


def _fit(
    training: Sequence[RatedExample],
    validation: Sequence[RatedExample],
    features: FeatureSet,
    scaling: Scaling,
    settings: TrajectorySettings,
    say: Say,
) -> Weights:
    """The weights of the epoch that does best in validation."""
    import torch

    size = min(settings.batch, -(-len(training) // _LEAST_STEPS))

    def batches(rng: np.random.Generator, processes: int) -> Iterator[tuple[list[Features], list[Ratings]]]:
        for chosen in shuffled_batches(np.arange(len(training)), size, processes, rng):
            examples = [training[index] for index in chosen]
            drawn = [_drawn_modality(example, settings.shares, rng) for example in examples]
            yield (
                [_scaled(example, view, features, scaling) for example, view in zip(examples, drawn, strict=True)],
                [_ratings(example) for example in examples],
            )

    def loss(
        network: torch.nn.Module, batch: tuple[list[Features], list[Ratings]], device: torch.device
    ) -> torch.Tensor:
        rows, ratings = batch
        predicted = network(padded(rows).to(device), [len(one) for one in rows])
        joined = torch.cat([one[: len(rated)] for one, rated in zip(predicted, ratings, strict=True)])
        return concordance_loss(joined, torch.from_numpy(np.concatenate(ratings)).to(joined))

    def after_epoch(epoch: int, gained: float, best: float) -> None:
        if epoch % _SAY_EVERY == 0:
            say(f"epoch {epoch}: CCC {fixed(gained)} in validation, best {fixed(best)}")

    return fit_network(
        partial(make_network, features.width, settings.hidden, settings.dropout),
        torch.optim.Adam,
        batches,
        loss,
        partial(_validation_score, examples=validation, features=features, scaling=scaling),
        settings,
        patience=settings.patience,
        most_norm=_MOST_NORM,
        after_epoch=after_epoch,
    )


def _ratings(example: RatedExample) -> Ratings:
    """Valence and arousal, (T, 2)."""
    return np.column_stack([example.recording.trajectory.column(name) for name in DIMENSIONS]).astype(np.float32)


def _scaled(example: RatedExample, view: Modality, features: FeatureSet, scaling: Scaling) -> Features:
    return scaling.apply(example.rows[view], features.shown(view))


def _drawn_modality(example: RatedExample, shares: tuple[float, float, float], rng: np.random.Generator) -> Modality:
    drawn = MODALITIES[rng.choice(len(MODALITIES), p=shares)]
    return drawn if drawn in example.rows else next(iter(example.rows))


def _validation_score(
    network: torch.nn.Module, examples: Sequence[RatedExample], features: FeatureSet, scaling: Scaling
) -> tuple[float]:
    """Mean concordance over modalities and dimensions."""
    import torch

    device = next(network.parameters()).device
    scores = []
    for view in MODALITIES:
        shown = [example for example in examples if view in example.rows]
        if not shown:
            continue
        rows = [_scaled(example, view, features, scaling) for example in shown]
        with torch.inference_mode():
            predicted = network(padded(rows).to(device), [len(one) for one in rows]).cpu().numpy().astype(np.float64)
        rated = [_ratings(example) for example in shown]
        joined = np.concatenate([one[: len(ratings)] for one, ratings in zip(predicted, rated, strict=True)])
        truth = np.concatenate(rated).astype(np.float64)
        scores += [float(concordance(series_moments(joined[:, i], truth[:, i]))) for i in range(len(DIMENSIONS))]
    return (float(np.nanmean(scores)),)


LONGEST_S = 6.0
_RIDGE = 10.0
_FOLDS = 3


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
