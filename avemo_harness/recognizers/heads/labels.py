"""The label head: rows pooled over time, network, training with modality dropout and early stopping, recogniser."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.release import order_labels
from avemo_harness.errors import MediaError, UsageError
from avemo_harness.metrics.classification import Floats, confusion_counts, macro_f1
from avemo_harness.metrics.trajectory import count_steps
from avemo_harness.recognizers.card import LabelCard
from avemo_harness.recognizers.features.base import RATE_HZ, Features
from avemo_harness.recognizers.features.feature_set import MASK_BITS, FeatureSet, Scaling, fit_scaling
from avemo_harness.recognizers.heads.training import (
    Example,
    Indices,
    Settings,
    Weights,
    fit_network,
    shuffled_batches,
    with_progress,
)
from avemo_harness.recognizers.recordings import MODALITIES, LabelledRecording, Modality, Part, Recording
from avemo_harness.text import Notify
from avemo_harness.torch_setup import one_thread

if TYPE_CHECKING:
    import torch

LabelExample = Example[LabelledRecording]
"""A labelled recording and its row, float32 (1, width), by modality."""

_LEAST_DEVIATION = 1e-4


def row_width(features: FeatureSet) -> int:
    """Numbers in a recording's row: mean and spread of every feature, then the mask bits."""
    return 2 * (features.width - MASK_BITS) + MASK_BITS


def row_mask(features: FeatureSet, view: Modality) -> NDArray[np.bool_]:
    """Mask of the columns that a view fills, bool (width,)."""
    mask = features.column_mask(view)
    return np.concatenate([np.tile(mask[:-MASK_BITS], 2), mask[-MASK_BITS:]])


def pooled(rows: Features) -> Features:
    """Mean and spread over time of features (T, width), the mask bits, their last columns, as they are: (1, 2w + bits).

    >>> pooled(np.array([[1, 1, 1], [3, 1, 1]], dtype=np.float32))
    array([[2., 1., 1., 1.]], dtype=float32)
    """
    features = rows[:, :-MASK_BITS].astype(np.float64)
    row = np.concatenate([features.mean(axis=0), features.std(axis=0), rows[0, -MASK_BITS:]])
    return row[None].astype(np.float32)


def pooled_features(streams: Recording, features: FeatureSet) -> dict[Modality, Features]:
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


def make_examples(recordings: Sequence[LabelledRecording], features: FeatureSet, say: Notify) -> list[LabelExample]:
    """Describe recordings, in their order.

    Raises:
        MediaError: a recording cannot be read.
    """
    return [Example(one, pooled_features(one.streams, features)) for one in with_progress(recordings, say)]


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


HIDDEN = 128


def make_network(width: int, labels: int, hidden: int = HIDDEN, dropout: float = 0.0) -> torch.nn.Module:
    """A network with fresh weights from torch's generator: (width + 1) * hidden + (hidden + 1) * labels of them.

    With the built-in features of sound and face that is 270,468.

    It takes standardised rows (B, width), the columns of what is not shown being 0, and gives unnormalised log
    probabilities (B, labels). As hidden columns are 0, its first layer is the sum of one layer for each stream.

    Args:
        dropout: share of inputs and of hidden values that are dropped in training.

    >>> sum(weights.numel() for weights in make_network(width=10, labels=4, hidden=8).parameters())
    124
    """
    from torch import nn

    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(width, hidden),
        nn.Tanh(),
        nn.Dropout(dropout),
        nn.Linear(hidden, labels),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings(Settings):
    """Training settings of the label head; its weight decay is that of AdamW.

    Args:
        folds: networks that are trained where there is no validation part, at least 2.
        shares: a modality of share 0 is never shown, and does not count in validation.
    """

    hidden: int = HIDDEN
    weight_decay: float = 0.1
    most_epochs: int = 100
    folds: int = 4


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Result of training.

    Args:
        examples: that it used, those of validation among them.
        labels: that it learned, in the order of the network's outputs.
        members: weights of networks whose probabilities are averaged.
        validation: the examples that stopped each member's training, which it did not learn from.
        split: how the validation examples were chosen, in words.
    """

    examples: tuple[LabelExample, ...]
    labels: tuple[str, ...]
    scaling: Scaling
    members: tuple[Weights, ...]
    validation: tuple[tuple[LabelExample, ...], ...]
    split: str


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """Standardised rows (N, width) under each view, NaN where a recording lacks it, and label indices (N,)."""

    rows: Mapping[Modality, NDArray[np.float32]]
    truth: Indices

    def having(self, view: Modality, indices: Indices) -> Indices:
        """Those of some recordings that have a view."""
        return indices[~np.isnan(self.rows[view][indices, -1])] if view in self.rows else indices[:0]


def fit(examples: Sequence[LabelExample], features: FeatureSet, settings: LabelSettings) -> Fitted:
    """Train on examples; of a corpus with parts, on those of the train part, validated on those of the validation part.

    Raises:
        UsageError: there are fewer than two labels, or too few speakers to keep some for validation.
    """
    parts, views = _parts_used(examples), _views_used(settings)
    examples = [one for one in examples if one.recording.part in parts and views & set(one.rows)]
    present = {one.recording.label for one in examples}
    labels = tuple(label for label in order_labels(present) if label in present)
    if len(labels) < 2:
        raise UsageError(f"expected recordings of at least two emotions to train on, found {list(labels)}; add some")
    folds, split = _folds(examples, settings)
    trained_on = sorted({int(index) for training, _ in folds for index in training})
    scaling = fit_scaling([examples[index].rows for index in trained_on], partial(row_mask, features))
    data = _data(examples, labels, features, scaling)
    members = []
    for number, (training, validation) in enumerate(folds):
        _require_labels(data.truth[training], labels)
        seeded = replace(settings, seed=settings.seed + number)
        members.append(_fit_member(data, training, validation, len(labels), seeded))
    held_out = tuple(tuple(examples[index] for index in validation) for _, validation in folds)
    return Fitted(tuple(examples), labels, scaling, tuple(members), held_out, split)


def _parts_used(examples: Sequence[LabelExample]) -> tuple[Part | None, ...]:
    """Of a corpus with a train part, that and the validation part; else everything."""
    if any(one.recording.part == "train" for one in examples):
        return ("train", "validation")
    return (None, "train", "validation", "test")


def _views_used(settings: LabelSettings) -> set[Modality]:
    return {view for view, share in zip(MODALITIES, settings.shares, strict=True) if share}


def _folds(examples: Sequence[LabelExample], settings: LabelSettings) -> tuple[list[tuple[Indices, Indices]], str]:
    """Training and validation examples of each member, and how they were chosen."""
    held_out = np.array([one.recording.part == "validation" for one in examples])
    if held_out.any():
        return [(np.flatnonzero(~held_out), np.flatnonzero(held_out))], "validated on the validation part"
    groups, what = [one.recording.speaker for one in examples], "speakers"
    if len(set(groups)) < 2:
        groups, what = [one.recording.dialogue for one in examples], "dialogues"
    names = sorted(set(groups))
    if len(names) < 2:
        raise UsageError("expected recordings of at least two speakers or dialogues to train on, found one; add some")
    count = min(settings.folds, len(names))
    order = np.random.default_rng(settings.seed).permutation(len(names))
    fold_of = {names[index]: number % count for number, index in enumerate(order)}
    fold = np.array([fold_of[group] for group in groups])
    folds = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(count)]
    return folds, f"{count} networks, each validated on other {what}"


def _require_labels(truth: Indices, labels: Sequence[str]) -> None:
    missing = sorted(set(range(len(labels))) - set(truth.tolist()))
    if missing:
        raise UsageError(f"expected {labels[missing[0]]} recordings of several speakers to train on; add some")


def _data(examples: Sequence[LabelExample], labels: Sequence[str], features: FeatureSet, scaling: Scaling) -> _Data:
    rows = {}
    for view in MODALITIES:
        indices = [index for index, one in enumerate(examples) if view in one.rows]
        if indices:
            values = np.full((len(examples), row_width(features)), np.nan, dtype=np.float32)
            given = np.concatenate([examples[index].rows[view] for index in indices])
            values[indices] = scaling.apply(given, row_mask(features, view))
            rows[view] = values
    return _Data(rows, np.array([labels.index(one.recording.label) for one in examples], dtype=np.intp))


def _fit_member(data: _Data, training: Indices, validation: Indices, labels: int, settings: LabelSettings) -> Weights:
    """The weights of the epoch that does best in validation."""
    import torch

    counts = np.bincount(data.truth[training], minlength=labels)
    rarity = torch.tensor(len(training) / (labels * counts), dtype=torch.float32)

    def batches(rng: np.random.Generator, processes: int) -> Iterator[tuple[Indices, Indices]]:
        for chosen in shuffled_batches(training, settings.batch, processes, rng):
            yield chosen, rng.choice(len(MODALITIES), size=len(chosen), p=settings.shares)

    def loss(network: torch.nn.Module, batch: tuple[Indices, Indices], device: torch.device) -> torch.Tensor:
        rows, truth = torch.from_numpy(_rows_as_drawn(data, *batch)), torch.from_numpy(data.truth[batch[0]])
        return torch.nn.functional.cross_entropy(network(rows.to(device)), truth.to(device), rarity.to(device))

    return fit_network(
        partial(make_network, next(iter(data.rows.values())).shape[1], labels, settings.hidden, settings.dropout),
        torch.optim.AdamW,
        batches,
        loss,
        partial(_validation_score, data=data, validation=validation, labels=labels, settings=settings),
        settings,
    )


def _rows_as_drawn(data: _Data, chosen: Indices, drawn: Indices) -> NDArray[np.float32]:
    """Rows of recordings as drawn modalities; as the first one that a recording has where it lacks the drawn one."""
    found = np.full((len(chosen), next(iter(data.rows.values())).shape[1]), np.nan, dtype=np.float32)
    for number, view in enumerate(MODALITIES):
        if view in data.rows:
            found[drawn == number] = data.rows[view][chosen[drawn == number]]
    for rows in data.rows.values():
        lacking = np.isnan(found[:, -1])
        found[lacking] = rows[chosen[lacking]]
    return found


def _validation_score(
    network: torch.nn.Module, data: _Data, validation: Indices, labels: int, settings: LabelSettings
) -> tuple[float, float]:
    """Macro F1, mean of the views that are trained; of equal ones, the larger mean log probability of the truth."""
    import torch

    device = next(network.parameters()).device
    scores, evidence = [], []
    for view, share in zip(MODALITIES, settings.shares, strict=True):
        selected = data.having(view, validation)
        if not share or not len(selected):
            continue
        with torch.inference_mode():
            found = network(torch.from_numpy(data.rows[view][selected]).to(device)).log_softmax(1).cpu().numpy()
        truth = data.truth[selected]
        counts = confusion_counts(truth.tolist(), found.argmax(axis=1).tolist(), labels)
        scores.append(float(macro_f1(counts, np.bincount(truth, minlength=labels) > 0)))
        evidence.append(float(found[np.arange(len(truth)), truth].mean()))
    return float(np.mean(scores)), float(np.mean(evidence))


LABEL_FORMAT = "avemo-categorical-recognizer-1"
"""Names the layout of the files and the meaning of the network's input: raise the number when either changes."""


@dataclass(frozen=True, eq=False)
class CategoricalRecognizer:
    """Predicts the emotion of a recording from its sound and face, or from either alone: a `Recognizer`.

    Args:
        labels: the emotions, in the order of every array of labels.
        features: of which rows the networks are fed.
        scaling: of those rows.
        members: weights of networks whose probabilities are averaged.
        card: training data, and F1 by label.
        device: where the networks run.
    """

    labels: tuple[str, ...]
    features: FeatureSet
    scaling: Scaling
    members: tuple[Weights, ...]
    card: LabelCard
    device: str = field(default="cpu")

    def identity(self) -> Mapping[str, str]:
        """Its format, and digests of its weights and of what its features are made of."""
        digest = hashlib.sha256()
        for weights in (*self.members, self.scaling.tensors()):
            for name in sorted(weights):
                digest.update(name.encode() + np.ascontiguousarray(weights[name]).tobytes())
        extractors = [dict(extractor.identity()) for extractor in self.features.extractors]
        return {
            "format": LABEL_FORMAT,
            "labels": " ".join(self.labels),
            "weights": digest.hexdigest(),
            "extractors": json.dumps(extractors, sort_keys=True),
        }

    @property
    def card_values(self) -> Mapping[str, Any]:
        return {**self.card.to_json(), "lines": self.card.lines()}

    def log_probabilities(self, recording: Recording, modality: Modality) -> Floats:
        rows = pooled_features(recording, self.features)
        if modality not in rows:
            raise MediaError(f"{recording.name}: it has no {modality} to recognise an emotion by")
        found: Floats = self.predict([rows[modality]], modality)[0]
        return found

    def predict(self, rows: Sequence[Features], view: Modality) -> Floats:
        """Log probabilities, (n, n_labels), of recordings that were described under a view, each a row (1, width)."""
        import torch

        scaled = self.scaling.apply(np.concatenate(rows), row_mask(self.features, view))
        with one_thread(), torch.inference_mode():
            given = torch.from_numpy(scaled).to(self.device)
            found = [network(given).log_softmax(1).cpu().numpy().astype(np.float64) for network in self._networks]
        mean: Floats = np.logaddexp.reduce(found, axis=0) - np.log(len(found))
        return mean

    @cached_property
    def _networks(self) -> list[torch.nn.Module]:
        import torch

        networks = []
        for weights in self.members:
            (hidden, width), labels = weights["1.weight"].shape, len(self.labels)
            network = make_network(width, labels, hidden)
            network.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in weights.items()})
            networks.append(network.to(self.device).eval())
        return networks
