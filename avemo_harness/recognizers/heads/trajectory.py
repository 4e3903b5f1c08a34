"""The trajectory head: bidirectional LSTM, calibration, training on 1 - CCC, and the raters' delay."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import UsageError
from avemo_harness.metrics.agreement import concordance, series_moments
from avemo_harness.metrics.profiles import Calibration, CalibrationSource, calibrate
from avemo_harness.metrics.trajectory import ROUNDING, Dimension, Trajectory, count_steps
from avemo_harness.recognizers.card import TrajectoryCard
from avemo_harness.recognizers.features.base import RATE_HZ, Features
from avemo_harness.recognizers.features.feature_set import FeatureSet, Scaling, fit_scaling
from avemo_harness.recognizers.heads.training import (
    Example,
    Settings,
    Weights,
    balanced_indices,
    fit_network,
    provenance,
    shuffled_batches,
    training_record,
    with_progress,
)
from avemo_harness.recognizers.recordings import (
    MODALITIES,
    SINGLE_MODALITIES,
    Modality,
    RatedRecording,
    Recording,
    SingleModality,
    by_corpus,
    cut_into_turns,
)
from avemo_harness.text import Notify, fixed
from avemo_harness.torch_setup import one_blas_thread, one_thread

if TYPE_CHECKING:
    import torch

HIDDEN = 256
DIMENSIONS: tuple[Dimension, ...] = ("valence", "arousal")


def make_network(width: int, hidden: int = HIDDEN, dropout: float = 0.0) -> torch.nn.Module:
    """A network for rows of `width` numbers, with fresh weights from torch's generator.

    It takes padded recordings, float32 (B, T, width), and their lengths, each at least 1, and gives valence and
    arousal, float32 (B, T, 2) in [0, 1]; what lies beyond a recording's length is not looked at.

    Args:
        hidden: width of each direction of the LSTM.
        dropout: share of inputs and of hidden values that are dropped in training.
    """
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    class TrajectoryNetwork(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dropout = torch.nn.Dropout(dropout)
            self.lstm = torch.nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
            self.linear = torch.nn.Linear(2 * hidden, len(DIMENSIONS))

        def forward(self, rows: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
            packed = pack_padded_sequence(
                self.dropout(rows), torch.tensor(lengths), batch_first=True, enforce_sorted=False
            )
            found, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=rows.shape[1])
            return torch.sigmoid(self.linear(self.dropout(found)))

    return TrajectoryNetwork()


def padded(rows: Sequence[NDArray[np.float32]]) -> torch.Tensor:
    """Rows of several recordings side by side, filled up with zeros: (B, longest, width)."""
    import torch

    return torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(np.ascontiguousarray(one)) for one in rows], batch_first=True
    )


def concordance_loss(predicted: torch.Tensor, rated: torch.Tensor) -> torch.Tensor:
    """``1 - CCC``, mean over the columns, of all rows of a batch at once.

    Args:
        predicted, rated: (N, 2), rows of recordings without padding.
    """
    centred, target = predicted - predicted.mean(0), rated - rated.mean(0)
    covariance = (centred * target).mean(0)
    spread = (centred**2).mean(0) + (target**2).mean(0) + (predicted.mean(0) - rated.mean(0)) ** 2
    loss: torch.Tensor = (1 - 2 * covariance / spread.clamp_min(1e-8)).mean()
    return loss


TRAJECTORY_FORMAT = "avemo-continuous-recognizer-1"
"""Names the layout of the files and the meaning of the network's input: raise the number when either changes."""


@dataclass(frozen=True, eq=False)
class ContinuousRecognizer:
    """Predicts valence and arousal on the unit scale, two values a second: a `TrajectoryJudge`.

    Args:
        features: of which rows the network is fed.
        scaling: of those rows.
        weights: of the network, by name.
        calibration: its thresholds; None where the card says why it has none.
        card: training data, and agreement with people.
        device: where the network runs.
    """

    features: FeatureSet
    scaling: Scaling
    weights: Weights
    calibration: Calibration | None
    card: TrajectoryCard
    device: str = field(default="cpu")

    def identity(self) -> Mapping[str, str]:
        """Its format, and digests of its weights and of what its features are made of."""
        digest = hashlib.sha256()
        for name in sorted(self.weights):
            digest.update(name.encode() + np.ascontiguousarray(self.weights[name]).tobytes())
        digest.update(self.scaling.mean.tobytes() + self.scaling.deviation.tobytes())
        extractors = [dict(extractor.identity()) for extractor in self.features.extractors]
        return {
            "format": TRAJECTORY_FORMAT,
            "weights": digest.hexdigest(),
            "extractors": json.dumps(extractors, sort_keys=True),
            "calibration": repr(self.calibration),
        }

    @property
    def modalities(self) -> frozenset[SingleModality]:
        """The streams that its features are made of."""
        used = {extractor.modality for extractor in self.features.extractors}
        return frozenset(one for one in SINGLE_MODALITIES if used & {one, "both"})

    @property
    def errors(self) -> Mapping[Dimension, float]:
        known = {name: self.card.find("both", name) for name in DIMENSIONS}
        return {name: one.rmse for name, one in known.items() if one is not None and one.rmse is not None}

    @property
    def card_values(self) -> Mapping[str, Any]:
        return {**self.card.to_json(), "lines": self.card.lines()}

    def trajectory(self, streams: Recording, view: Modality) -> Trajectory:
        count = count_steps(streams.duration_s, RATE_HZ)
        if count == 0:
            return Trajectory(np.zeros((0, len(DIMENSIONS))), DIMENSIONS, "unit", RATE_HZ)
        return self.predict(self.features.rows(streams, count, view), view)

    def predict(self, rows: Features, view: Modality) -> Trajectory:
        """The trajectory of rows that were extracted under a view, one value a row."""
        import torch

        scaled = self.scaling.apply(rows, self.features.column_mask(view))
        # Recordings are judged side by side: threads of each would only wait for one another.
        with one_thread(), torch.inference_mode():
            values = self._network(torch.from_numpy(scaled)[None].to(self.device), [len(rows)])
        return Trajectory(values[0].cpu().numpy().astype(np.float64), DIMENSIONS, "unit", RATE_HZ)

    @cached_property
    def _network(self) -> torch.nn.Module:
        import torch

        network = make_network(self.features.width, self.weights["linear.weight"].shape[1] // 2)
        network.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in self.weights.items()})
        return network.to(self.device).eval()


def with_calibration(
    recognizer: ContinuousRecognizer, rated: Sequence[RatedRecording], held_out: Sequence[Mapping[Modality, Features]]
) -> ContinuousRecognizer:
    """The recogniser with its calibration, or with the reason on its card why it has none.

    Args:
        rated: what it learned from.
        held_out: rows of recordings of speakers that it did not learn from, by view.
    """
    if are_labels(rated):
        with one_thread():
            predicted = [recognizer.predict(rows, view) for view, rows in map(_first_view, held_out)]
        return calibrated_on(recognizer, predicted, "predictions")
    return calibrated_on(recognizer, [one.trajectory for one in rated], "ratings")


def calibrated_on(
    recognizer: ContinuousRecognizer, trajectories: Sequence[Trajectory], source: CalibrationSource
) -> ContinuousRecognizer:
    """As `with_calibration`, by these trajectories."""
    turns = [turn for one in trajectories for turn in cut_into_turns(one)]
    try:
        found = calibrate(turns, recognizer.card.training.corpus, source)
        problem = found.problem()
    except ValueError as error:  # of recordings that are too short to show a step
        problem = str(error)
    if problem:
        return replace(recognizer, card=replace(recognizer.card, no_calibration=problem))
    return replace(recognizer, calibration=found)


def are_labels(rated: Sequence[RatedRecording]) -> bool:
    """True where ratings say no more than a label would: none of them moves within a recording."""
    return all(np.ptp(one.trajectory.values, axis=0).max() <= ROUNDING for one in rated if len(one.trajectory))


def _first_view(rows: Mapping[Modality, Features]) -> tuple[Modality, Features]:
    """The view that users' turns are judged by: everything that there is of the recording."""
    return next(iter(rows.items()))


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


def make_examples(recordings: Sequence[RatedRecording], features: FeatureSet, say: Notify) -> list[RatedExample]:
    """Describe recordings, in their order.

    Raises:
        MediaError: a recording cannot be read.
    """
    with one_blas_thread():
        return [
            Example(one, features.views(one.streams, len(one.trajectory))) for one in with_progress(recordings, say)
        ]


def train_recognizer(
    training: Sequence[RatedRecording],
    validation: Sequence[RatedRecording],
    features: FeatureSet,
    corpus: str,
    settings: TrajectorySettings | None = None,
    say: Notify = lambda sentence: None,
    scaling: Scaling | None = None,
) -> ContinuousRecognizer:
    """Train on some recordings; those of the validation part decide when it is enough.

    Args:
        corpus: of which they are, for the card.
        scaling: of the rows; by default what makes those of the training part standard.

    Raises:
        UsageError: a part is empty, or has no ratings that vary.
        MediaError: a recording cannot be read.
    """
    settings = settings or TrajectorySettings()
    if training and not _vary(training):
        raise UsageError(
            f"{corpus}: all values that it would learn from are the same, such as those of a single label; add "
            "recordings of another label"
        )
    if not training or not validation:
        raise UsageError(
            f"expected recordings to train and to validate on, found {len(training)} and {len(validation)}"
        )
    if overlap := {one.group for one in training} & {one.group for one in validation}:
        raise UsageError(f"{min(overlap)!r} is in the training and in the validation part; keep a group on one side")
    say(f"extracting features of {len(training) + len(validation)} recordings")
    examples, held_out = make_examples(training, features, say), make_examples(validation, features, say)
    scaling = scaling or fit_scaling([one.rows for one in examples], features.column_mask)
    weights = _fit(examples, held_out, features, scaling, settings, say)
    rated = [*training, *validation]
    seconds = float(sum(len(one.trajectory) for one in rated) / RATE_HZ)
    split = _split_text(validation) + balance_text(training)
    record = training_record(corpus, rated, fingerprint(rated), seconds, split, settings.seed)
    card = TrajectoryCard(training=record, **provenance(features))
    recognizer = ContinuousRecognizer(features, scaling, weights, None, card)
    return with_calibration(recognizer, rated, [one.rows for one in held_out])


def _vary(rated: Sequence[RatedRecording]) -> bool:
    """True where not all ratings are one point."""
    values = np.concatenate([one.trajectory.values for one in rated])
    return bool(len(values)) and bool((np.ptp(values, axis=0) > ROUNDING).any())


def _split_text(validation: Sequence[RatedRecording]) -> str:
    groups = len({one.group for one in validation})
    return f"validated on {groups} other {'speaker' if groups == 1 else 'speakers'}"


def balance_text(training: Sequence[RatedRecording]) -> str:
    """End of a card's sentence on its split: how several corpora were weighed; nothing for one."""
    corpora = len(by_corpus(training))
    return f", {corpora} corpora of equal weight" if corpora > 1 else ""


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
    say: Notify,
) -> Weights:
    """The weights of the epoch that does best in validation."""
    import torch

    size = min(settings.batch, -(-len(training) // _LEAST_STEPS))
    corpora = [one.recording.corpus for one in training]
    lengths = [len(one.recording.trajectory) for one in training]

    def batches(rng: np.random.Generator, processes: int) -> Iterator[tuple[list[Features], list[Ratings]]]:
        for chosen in shuffled_batches(balanced_indices(corpora, lengths, rng), size, processes, rng):
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
    return scaling.apply(example.rows[view], features.column_mask(view))


def _drawn_modality(example: RatedExample, shares: tuple[float, float, float], rng: np.random.Generator) -> Modality:
    drawn = MODALITIES[rng.choice(len(MODALITIES), p=shares)]
    return drawn if drawn in example.rows else next(iter(example.rows))


def _validation_score(
    network: torch.nn.Module, examples: Sequence[RatedExample], features: FeatureSet, scaling: Scaling
) -> tuple[float]:
    """Mean concordance over modalities and dimensions, and over corpora, where there are several."""
    corpora = dict.fromkeys(example.recording.corpus for example in examples)
    of_corpora = [
        _concordance([one for one in examples if one.recording.corpus == corpus], network, features, scaling)
        for corpus in corpora
    ]
    return (float(np.mean(of_corpora)),)


def _concordance(
    examples: Sequence[RatedExample], network: torch.nn.Module, features: FeatureSet, scaling: Scaling
) -> float:
    import torch

    device = next(network.parameters()).device
    scores = []
    for view in MODALITIES:
        selected = [example for example in examples if view in example.rows]
        if not selected:
            continue
        rows = [_scaled(example, view, features, scaling) for example in selected]
        with torch.inference_mode():
            predicted = network(padded(rows).to(device), [len(one) for one in rows]).cpu().numpy().astype(np.float64)
        rated = [_ratings(example) for example in selected]
        joined = np.concatenate([one[: len(ratings)] for one, ratings in zip(predicted, rated, strict=True)])
        truth = np.concatenate(rated).astype(np.float64)
        scores += [float(concordance(series_moments(joined[:, i], truth[:, i]))) for i in range(len(DIMENSIONS))]
    known = [score for score in scores if not np.isnan(score)]
    # Of one value nothing can agree: its recordings say nothing of when training is enough.
    return float(np.mean(known)) if known else 0.0
