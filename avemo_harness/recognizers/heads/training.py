"""Training that the heads share: examples, epochs with early stopping, and what a card tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from avemo_harness.recognizers.card import TrainingRecord
from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.features.feature_set import FeatureSet
from avemo_harness.recognizers.recordings import LabelledRecording, Modality, RatedRecording
from avemo_harness.text import Notify
from avemo_harness.torch_setup import one_thread

if TYPE_CHECKING:
    import torch

Weights = Mapping[str, NDArray[np.float32]]
Indices = NDArray[np.intp]

RecordingT = TypeVar("RecordingT", RatedRecording, LabelledRecording)
BatchT = TypeVar("BatchT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Training settings of a head.

    Args:
        seed: of the weights, folds, order, modality dropout and dropout.
        hidden: width of the hidden layer, or of each direction of the LSTM.
        learning_rate: of Adam.
        weight_decay: of Adam.
        dropout: share of inputs and of hidden values dropped in training.
        batch: recordings a step, at most.
        stop_after: early stopping patience: epochs without gain after which training ends.
        most_epochs: where it ends at the latest.
        shares: modality dropout: how often a recording with both streams is shown as both, audio, video; they sum to 1.
    """

    seed: int = 0
    hidden: int
    learning_rate: float = 1e-3
    weight_decay: float
    dropout: float = 0.5
    batch: int = 32
    stop_after: int = 15
    most_epochs: int
    shares: tuple[float, float, float] = (0.4, 0.4, 0.2)


SettingsT = TypeVar("SettingsT", bound=Settings)


@dataclass(frozen=True, slots=True)
class Method(Generic[SettingsT]):
    """Features and settings that the recognisers of an evaluation are trained with; ``say`` reports progress."""

    features: FeatureSet
    settings: SettingsT
    say: Notify = lambda sentence: None


@dataclass(frozen=True, slots=True, eq=False)
class Example(Generic[RecordingT]):
    """A recording and its rows of features, float32 (T, width), by modality; modalities may share an array."""

    recording: RecordingT
    rows: Mapping[Modality, Features]


def with_progress(recordings: Sequence[RecordingT], say: Notify) -> Iterator[RecordingT]:
    """The recordings; progress is reported every hundred."""
    for number, recording in enumerate(recordings, 1):
        yield recording
        if number % 100 == 0 and number < len(recordings):
            say(f"features of {number} of {len(recordings)} recordings")


def fit_network(
    make_network: Callable[[], torch.nn.Module],
    optimizer_class: Callable[..., torch.optim.Optimizer],
    batches: Callable[[np.random.Generator, int], Iterable[BatchT]],
    loss: Callable[[torch.nn.Module, BatchT, torch.device], torch.Tensor],
    score: Callable[[torch.nn.Module], tuple[float, ...]],
    settings: Settings,
    *,
    patience: int | None = None,
    most_norm: float | None = None,
    after_epoch: Callable[[int, float, float], None] = lambda epoch, gained, best: None,
) -> Weights:
    """Train a network with early stopping; returns the weights of the epoch that does best in validation.

    The same on any number of processors. Under a launcher (accelerate) each process trains on its share of the batches.

    Args:
        make_network: makes it with fresh weights from torch's generator.
        optimizer_class: takes parameters, a learning rate and ``weight_decay``.
        batches: gives an epoch's batches from a generator, as many for each of that many processes.
        loss: of a batch, on a device.
        score: in validation, compared as tuples are; larger is better.
        patience: epochs without gain after which the learning rate is halved; None leaves it.
        most_norm: what the norm of gradients is clipped at; None leaves them.
        after_epoch: is called with its number, its score and the best one.
    """
    import torch
    from accelerate import Accelerator

    accelerator = Accelerator()
    # Weights come from torch's generator, order and modalities from NumPy's: the order of draws decides the result.
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = make_network()
        optimizer = optimizer_class(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        scheduler = None
        if patience is not None:
            scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", 0.5, patience)
        network, optimizer = accelerator.prepare(network, optimizer)
        rng = np.random.default_rng(settings.seed)
        best: tuple[float, ...] = (-np.inf,)
        best_epoch, best_weights = 0, _weights(accelerator.unwrap_model(network))
        for epoch in range(1, settings.most_epochs + 1):
            network.train()
            of_all = list(batches(rng, accelerator.num_processes))
            for batch in of_all[accelerator.process_index :: accelerator.num_processes]:
                step_loss = loss(network, batch, accelerator.device)
                optimizer.zero_grad()
                accelerator.backward(step_loss)
                if most_norm is not None:
                    accelerator.clip_grad_norm_(network.parameters(), most_norm)
                optimizer.step()
            gained = score(accelerator.unwrap_model(network).eval())
            if scheduler is not None:
                scheduler.step(gained[0])
            if gained > best:
                best, best_epoch, best_weights = gained, epoch, _weights(accelerator.unwrap_model(network))
            after_epoch(epoch, gained[0], best[0])
            if epoch - best_epoch >= settings.stop_after:
                break
    return best_weights


def _weights(network: torch.nn.Module) -> Weights:
    return {name: values.detach().cpu().numpy().copy() for name, values in network.state_dict().items()}


def shuffled_batches(indices: Indices, batch: int, processes: int, rng: np.random.Generator) -> list[Indices]:
    """Every index once, in drawn order, in batches of at most so many.

    Several processes get as many batches each, so that they stay in step: where recordings are few, some come twice.
    """
    order = rng.permutation(indices)
    count = -(-len(order) // (batch * processes)) * processes
    return np.array_split(np.resize(order, max(count, len(order))), count)


def balanced_indices(corpora: Sequence[str], lengths: Sequence[int], rng: np.random.Generator) -> Indices:
    """Recordings for an epoch to which each corpus gives about as many values, and which has about as many as all have.

    Of a corpus that has too many, some are drawn, others in the next epoch; of one that has too few, all come, and some
    again. Of a single corpus all come, and nothing is drawn.

    Args:
        corpora: the corpus of each recording, (N,).
        lengths: values of each recording, (N,).

    Returns:
        Indices of recordings, those of a corpus beside each other.

    >>> balanced_indices(["a", "a", "b"], [2, 2, 2], np.random.default_rng(0)).tolist()
    [0, 1, 2, 2]
    """
    names = np.array(corpora, dtype=np.str_)
    distinct = np.unique(names)
    if len(distinct) < 2:
        return np.arange(len(names))
    values = np.array(lengths, dtype=np.float64)
    found = []
    for name in distinct:
        members = np.flatnonzero(names == name)
        count = max(1, round(values.sum() / len(distinct) / values[members].mean()))
        rounds = [rng.permutation(members) for _ in range(-(-count // len(members)))]
        found.append(np.concatenate(rounds)[:count])
    return np.concatenate(found)


def training_record(
    corpus: str, recordings: Sequence[RecordingT], fingerprint: str, seconds: float, split: str, seed: int
) -> TrainingRecord:
    """The card's facts on the recordings that a recogniser was trained and validated on."""
    speakers = {recording.speaker for recording in recordings}
    return TrainingRecord(corpus, fingerprint, len(recordings), len(speakers), seconds, split, seed)


def provenance(features: FeatureSet) -> dict[str, Any]:
    """Fields of a card: names of the extractors, and versions of the packages that train."""
    return {
        "extractors": tuple(dict(extractor.identity())["extractor"] for extractor in features.extractors),
        "versions": {package: version(package) for package in ("avemo-harness", "numpy", "torch")},
    }
