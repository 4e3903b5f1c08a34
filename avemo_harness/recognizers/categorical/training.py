"""Training of the categorical recogniser: cross-entropy weighted by label, streams hidden by draw, stopped early.

A recording with both streams is shown whole, as sound or as face, by draw, so that one model serves all three. Adam
with decoupled weight decay. The epoch is kept that has the best macro F1 in validation, mean of the views.

Where a corpus names a validation part, one network is trained. Elsewhere speakers are dealt to a few folds, and each
fold stops the training of a network of its own on the others: all are kept, and their probabilities averaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.errors import UsageError
from avemo_harness.inference import one_thread
from avemo_harness.metrics.classification import confusion_counts, macro_f1
from avemo_harness.recognizers.categorical.examples import VIEWS, Example, row_width, shown_columns
from avemo_harness.recognizers.categorical.network import HIDDEN, make_network
from avemo_harness.recognizers.corpora.base import Part
from avemo_harness.recognizers.feature_set import FeatureSet
from avemo_harness.recognizers.scaling import Scaling, fit_scaling
from avemo_harness.recognizers.streams import View

if TYPE_CHECKING:
    import torch

Weights = Mapping[str, NDArray[np.float32]]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train.

    Args:
        seed: of the weights, folds, order, views and dropout.
        hidden: width of the hidden layer.
        learning_rate: of Adam.
        weight_decay: decoupled from the learning step's direction (AdamW).
        dropout: share of inputs and of hidden values dropped in training.
        batch: recordings a step, at most.
        folds: networks that are trained where there is no validation part, at least 2.
        stop_after: epochs without gain after which training ends.
        most_epochs: where it ends at the latest.
        shares: how often a recording with both streams is shown whole, as sound, as face; they sum to 1. A view of
            share 0 is never shown, and does not count in validation.
    """

    seed: int = 0
    hidden: int = HIDDEN
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    dropout: float = 0.5
    batch: int = 32
    folds: int = 4
    stop_after: int = 15
    most_epochs: int = 100
    shares: tuple[float, float, float] = (0.4, 0.4, 0.2)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What training gives.

    Args:
        examples: that it used, those of validation among them.
        labels: that it learned, in the order of the network's outputs.
        members: weights of networks whose probabilities are averaged.
        validation: the examples that stopped each member's training, which it did not learn from.
        split: how they were kept apart, in words.
    """

    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    scaling: Scaling
    members: tuple[Weights, ...]
    validation: tuple[tuple[Example, ...], ...]
    split: str


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """Standardised rows (N, width) under each view, NaN where a recording lacks it, and label indices (N,)."""

    rows: Mapping[View, NDArray[np.float32]]
    truth: Indices

    def having(self, view: View, places: Indices) -> Indices:
        """Those of some recordings that have a view."""
        return places[~np.isnan(self.rows[view][places, -1])] if view in self.rows else places[:0]


def fit(examples: Sequence[Example], features: FeatureSet, settings: Settings) -> Fitted:
    """Train on examples; of a corpus with parts, on those of the train part, validated on those of the validation part.

    Raises:
        UsageError: there are fewer than two labels, or too few speakers to keep some for validation.
    """
    parts, views = _parts_used(examples), _views_used(settings)
    examples = [one for one in examples if one.recording.part in parts and views & set(one.rows)]
    present = {one.recording.label for one in examples}
    labels = tuple(label for label in EMOTIONS if label in present)
    if len(labels) < 2:
        raise UsageError(f"expected recordings of at least two emotions to train on, found {list(labels)}; add some")
    folds, split = _folds(examples, settings)
    trained_on = sorted({int(place) for training, _ in folds for place in training})
    scaling = fit_scaling([examples[place].rows for place in trained_on], partial(shown_columns, features))
    data = _data(examples, labels, features, scaling)
    members = []
    for number, (training, validation) in enumerate(folds):
        _require_labels(data.truth[training], labels)
        seeded = replace(settings, seed=settings.seed + number)
        members.append(_fit_member(data, training, validation, len(labels), seeded))
    held_out = tuple(tuple(examples[place] for place in validation) for _, validation in folds)
    return Fitted(tuple(examples), labels, scaling, tuple(members), held_out, split)


def _parts_used(examples: Sequence[Example]) -> tuple[Part | None, ...]:
    """Of a corpus with a train part, that and the validation part; else everything."""
    if any(one.recording.part == "train" for one in examples):
        return ("train", "validation")
    return (None, "train", "validation", "test")


def _views_used(settings: Settings) -> set[View]:
    return {view for view, share in zip(VIEWS, settings.shares, strict=True) if share}


def _folds(examples: Sequence[Example], settings: Settings) -> tuple[list[tuple[Indices, Indices]], str]:
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
    fold_of = {names[place]: number % count for number, place in enumerate(order)}
    fold = np.array([fold_of[group] for group in groups])
    folds = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(count)]
    return folds, f"{count} networks, each validated on other {what}"


def _require_labels(truth: Indices, labels: Sequence[str]) -> None:
    missing = sorted(set(range(len(labels))) - set(truth.tolist()))
    if missing:
        raise UsageError(f"expected {labels[missing[0]]} recordings of several speakers to train on; add some")


def _data(examples: Sequence[Example], labels: Sequence[str], features: FeatureSet, scaling: Scaling) -> _Data:
    rows = {}
    for view in VIEWS:
        places = [place for place, one in enumerate(examples) if view in one.rows]
        if places:
            values = np.full((len(examples), row_width(features)), np.nan, dtype=np.float32)
            given = np.concatenate([examples[place].rows[view] for place in places])
            values[places] = scaling.apply(given, shown_columns(features, view))
            rows[view] = values
    return _Data(rows, np.array([labels.index(one.recording.label) for one in examples], dtype=np.intp))


def _fit_member(data: _Data, training: Indices, validation: Indices, labels: int, settings: Settings) -> Weights:
    """The weights of the epoch that does best in validation."""
    import torch
    from accelerate import Accelerator

    accelerator = Accelerator()
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        width = next(iter(data.rows.values())).shape[1]
        network = make_network(width, labels, settings.hidden, settings.dropout)
        optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        network, optimizer = accelerator.prepare(network, optimizer)
        counts = np.bincount(data.truth[training], minlength=labels)
        rarity = torch.tensor(len(training) / (labels * counts), dtype=torch.float32)
        loss_of = torch.nn.CrossEntropyLoss(rarity.to(accelerator.device))
        rng = np.random.default_rng(settings.seed)
        best, best_epoch, kept = (-np.inf, -np.inf), 0, _weights(accelerator.unwrap_model(network))
        for epoch in range(1, settings.most_epochs + 1):
            network.train()
            batches = list(_batches(training, settings, rng, accelerator.num_processes))
            for chosen, drawn in batches[accelerator.process_index :: accelerator.num_processes]:
                rows, truth = torch.from_numpy(_shown(data, chosen, drawn)), torch.from_numpy(data.truth[chosen])
                loss = loss_of(network(rows.to(accelerator.device)), truth.to(accelerator.device))
                optimizer.zero_grad()
                accelerator.backward(loss)
                optimizer.step()
            gained = _validation_score(accelerator.unwrap_model(network), data, validation, labels, settings)
            if gained > best:
                best, best_epoch, kept = gained, epoch, _weights(accelerator.unwrap_model(network))
            if epoch - best_epoch >= settings.stop_after:
                break
    return kept


def _batches(
    training: Indices, settings: Settings, rng: np.random.Generator, processes: int
) -> Iterator[tuple[Indices, Indices]]:
    """Every recording once, in drawn order, and the number of the view that is drawn for each.

    Several processes get as many batches each, so that they stay in step: where recordings are few, some come twice.
    """
    order = rng.permutation(training)
    count = -(-len(order) // (settings.batch * processes)) * processes
    for chosen in np.array_split(np.resize(order, max(count, len(order))), count):
        yield chosen, rng.choice(len(VIEWS), size=len(chosen), p=settings.shares)


def _shown(data: _Data, chosen: Indices, drawn: Indices) -> NDArray[np.float32]:
    """Rows of recordings under drawn views; under the first view that it has where a recording lacks the drawn one."""
    found = np.full((len(chosen), next(iter(data.rows.values())).shape[1]), np.nan, dtype=np.float32)
    for number, view in enumerate(VIEWS):
        if view in data.rows:
            found[drawn == number] = data.rows[view][chosen[drawn == number]]
    for rows in data.rows.values():
        lacking = np.isnan(found[:, -1])
        found[lacking] = rows[chosen[lacking]]
    return found


def _validation_score(
    network: torch.nn.Module, data: _Data, validation: Indices, labels: int, settings: Settings
) -> tuple[float, float]:
    """Macro F1, mean of the views that are trained; of equal ones, the larger mean log probability of the truth."""
    import torch

    network.eval()
    device = next(network.parameters()).device
    scores, evidence = [], []
    for view, share in zip(VIEWS, settings.shares, strict=True):
        shown = data.having(view, validation)
        if not share or not len(shown):
            continue
        with torch.inference_mode():
            found = network(torch.from_numpy(data.rows[view][shown]).to(device)).log_softmax(1).cpu().numpy()
        truth = data.truth[shown]
        counts = confusion_counts(truth.tolist(), found.argmax(axis=1).tolist(), labels)
        scores.append(float(macro_f1(counts, np.bincount(truth, minlength=labels) > 0)))
        evidence.append(float(found[np.arange(len(truth)), truth].mean()))
    return float(np.mean(scores)), float(np.mean(evidence))


def _weights(network: torch.nn.Module) -> Weights:
    return {name: values.detach().cpu().numpy().copy() for name, values in network.state_dict().items()}
