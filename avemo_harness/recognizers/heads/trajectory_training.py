"""Train the trajectory head: 1 - CCC loss, modality dropout, early stopping, and the raters' delay."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import UsageError
from avemo_harness.metrics.agreement import concordance, series_moments
from avemo_harness.recognizers.card import TrainingRecord, TrajectoryCard
from avemo_harness.recognizers.features.base import RATE_HZ, Features
from avemo_harness.recognizers.features.feature_set import FeatureSet, Scaling, fit_scaling
from avemo_harness.recognizers.heads.trajectory import (
    DIMENSIONS,
    HIDDEN,
    ContinuousRecognizer,
    Weights,
    concordance_loss,
    make_network,
    padded,
    with_calibration,
)
from avemo_harness.recognizers.recordings import Modality, RatedRecording
from avemo_harness.text import fixed
from avemo_harness.torch_setup import one_thread

if TYPE_CHECKING:
    import torch

VIEWS: tuple[Modality, ...] = ("both", "audio", "video")

_SAY_EVERY = 10
_LEAST_STEPS = 8
"""Steps an epoch, for corpora of a few long recordings."""

Ratings = NDArray[np.float32]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """Training settings.

    Args:
        seed: of the weights, the order of recordings, views and dropout.
        hidden: width of each direction of the LSTM.
        learning_rate: of Adam.
        weight_decay: of Adam.
        dropout: share of inputs and hidden values dropped in training.
        batch: recordings a step, at most.
        patience: epochs without gain after which the learning rate is halved.
        stop_after: epochs without gain after which training ends.
        most_epochs: where it ends at the latest.
        shares: how often a recording with both streams is shown whole, as sound, as face; they sum to 1.
    """

    seed: int = 0
    hidden: int = HIDDEN
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    dropout: float = 0.5
    batch: int = 32
    patience: int = 5
    stop_after: int = 15
    most_epochs: int = 80
    shares: tuple[float, float, float] = (0.4, 0.4, 0.2)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A recording's rows under each of its views, and its ratings (T, 2) as valence, arousal."""

    recording_id: str
    rows: Mapping[Modality, Features]
    ratings: Ratings


def make_examples(recordings: Sequence[RatedRecording], features: FeatureSet, say: Say) -> list[Example]:
    """Extract the rows of recordings, as many as each has ratings.

    Raises:
        MediaError: a recording cannot be read.
    """
    examples = []
    for number, recording in enumerate(recordings, 1):
        ratings = np.column_stack([recording.trajectory.column(name) for name in DIMENSIONS]).astype(np.float32)
        rows = features.views(recording.streams, len(ratings))
        examples.append(Example(recording.recording_id, rows, ratings))
        if number % 100 == 0 and number < len(recordings):
            say(f"features of {number} of {len(recordings)} recordings")
    return examples


def train_recognizer(
    training: Sequence[RatedRecording],
    validation: Sequence[RatedRecording],
    features: FeatureSet,
    corpus: str,
    settings: Settings | None = None,
    say: Say = lambda sentence: None,
) -> ContinuousRecognizer:
    """Train on some recordings; those of the validation part decide when it is enough.

    Args:
        corpus: of which they are, for the card.

    Raises:
        UsageError: a part is empty, or has no ratings that vary.
        MediaError: a recording cannot be read.
    """
    settings = settings or Settings()
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
    described = TrainingRecord(
        corpus=corpus,
        fingerprint=fingerprint(rated),
        n_recordings=len(rated),
        n_speakers=len({one.speaker for one in rated}),
        seconds=float(sum(len(one.trajectory) for one in rated) / RATE_HZ),
        split=_split_text(validation),
        seed=settings.seed,
    )
    names = tuple(dict(extractor.identity())["extractor"] for extractor in features.extractors)
    versions = {package: version(package) for package in ("avemo-harness", "numpy", "torch")}
    card = TrajectoryCard(described, (), names, versions)
    recognizer = ContinuousRecognizer(features, scaling, weights, None, card)
    return with_calibration(recognizer, rated, [one.rows for one in held_out])


def _split_text(validation: Sequence[RatedRecording]) -> str:
    groups = len({one.group for one in validation})
    return f"validated on {groups} other {'speaker' if groups == 1 else 'speakers'}"


def fingerprint(recordings: Sequence[RatedRecording]) -> str:
    """Digest (hex) of recordings and ratings, in order."""
    digest = hashlib.sha256()
    for one in recordings:
        clips = [clip.sha256 if clip else "-" for clip in (one.streams.sound, one.streams.face)]
        digest.update(" ".join([one.recording_id, *clips]).encode() + one.trajectory.values.tobytes())
    return digest.hexdigest()


def _fit(
    training: Sequence[Example],
    validation: Sequence[Example],
    features: FeatureSet,
    scaling: Scaling,
    settings: Settings,
    say: Say,
) -> Weights:
    """The weights of the epoch that does best in validation."""
    import torch
    from accelerate import Accelerator

    accelerator = Accelerator()
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = make_network(features.width, settings.hidden, settings.dropout)
        optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", 0.5, settings.patience)
        network, optimizer = accelerator.prepare(network, optimizer)
        rng = np.random.default_rng(settings.seed)
        best, best_epoch, kept = -np.inf, 0, _weights(accelerator.unwrap_model(network))
        for epoch in range(1, settings.most_epochs + 1):
            network.train()
            batches = list(_batches(training, features, scaling, settings, rng))
            for rows, ratings in batches[accelerator.process_index :: accelerator.num_processes]:
                predicted = network(padded(rows).to(accelerator.device), [len(one) for one in rows])
                joined = torch.cat([one[: len(rated)] for one, rated in zip(predicted, ratings, strict=True)])
                loss = concordance_loss(joined, torch.from_numpy(np.concatenate(ratings)).to(joined))
                optimizer.zero_grad()
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
            gained = _validation_score(accelerator.unwrap_model(network), validation, features, scaling)
            scheduler.step(gained)
            if gained > best:
                best, best_epoch, kept = gained, epoch, _weights(accelerator.unwrap_model(network))
            if epoch % _SAY_EVERY == 0:
                say(f"epoch {epoch}: CCC {fixed(gained)} in validation, best {fixed(best)}")
            if epoch - best_epoch >= settings.stop_after:
                break
    return kept


def _batches(
    examples: Sequence[Example], features: FeatureSet, scaling: Scaling, settings: Settings, rng: np.random.Generator
) -> Iterator[tuple[list[Features], list[Ratings]]]:
    """Every recording once, in drawn order, each under a drawn view.

    Several processes get as many batches each, so that they stay in step: where recordings are few, some come twice.
    """
    import torch.distributed

    processes = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    order = rng.permutation(len(examples))
    batch = min(settings.batch, -(-len(order) // _LEAST_STEPS))
    count = -(-len(order) // (batch * processes)) * processes
    for chosen in np.array_split(np.resize(order, max(count, len(order))), count):
        rows, ratings = [], []
        for index in chosen:
            example = examples[index]
            view = _drawn_view(example, settings.shares, rng)
            rows.append(scaling.apply(example.rows[view], features.shown(view)))
            ratings.append(example.ratings)
        yield rows, ratings


def _drawn_view(example: Example, shares: tuple[float, float, float], rng: np.random.Generator) -> Modality:
    drawn: Modality = VIEWS[rng.choice(3, p=shares)]
    return drawn if drawn in example.rows else next(iter(example.rows))


def _validation_score(
    network: torch.nn.Module, examples: Sequence[Example], features: FeatureSet, scaling: Scaling
) -> float:
    """Mean concordance over views and dimensions."""
    import torch

    network.eval()
    device = next(network.parameters()).device
    scores = []
    for view in VIEWS:
        shown = [example for example in examples if view in example.rows]
        if not shown:
            continue
        rows = [scaling.apply(example.rows[view], features.shown(view)) for example in shown]
        with torch.inference_mode():
            predicted = network(padded(rows).to(device), [len(one) for one in rows]).cpu().numpy().astype(np.float64)
        joined = np.concatenate([one[: len(example.ratings)] for one, example in zip(predicted, shown, strict=True)])
        rated = np.concatenate([example.ratings for example in shown]).astype(np.float64)
        scores += [float(concordance(series_moments(joined[:, i], rated[:, i]))) for i in range(len(DIMENSIONS))]
    return float(np.nanmean(scores))


def _weights(network: torch.nn.Module) -> Weights:
    return {name: values.detach().cpu().numpy().copy() for name, values in network.state_dict().items()}


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
