"""A trained recogniser as a folder: weights, settings, card; read back bit by bit, without network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avemo_harness.recognizers.categorical.card import LabelCard
from avemo_harness.recognizers.categorical.examples import row_width
from avemo_harness.recognizers.categorical.recognizer import FORMAT, CategoricalRecognizer
from avemo_harness.recognizers.categorical.training import Weights
from avemo_harness.recognizers.checkpoint_folder import (
    CARD,
    CONFIG,
    README,
    WEIGHTS,
    as_json,
    default_device,
    describe_extractors,
    read_config,
    read_json,
    reading,
    restore_extractor,
    write_folder,
)
from avemo_harness.recognizers.feature_cache import FeatureCache
from avemo_harness.recognizers.feature_set import FeatureSet
from avemo_harness.recognizers.scaling import Scaling


def save_categorical(recognizer: CategoricalRecognizer, specs: Sequence[str], folder: Path) -> None:
    """Write a recogniser to a new folder, whole or not at all.

    Args:
        specs: how its extractors are made again (`avemo_harness.recognizers.extractors.make_extractor`), in order.

    Raises:
        UsageError: the folder holds something already.
        StoreError: it cannot be written.
    """
    from safetensors.numpy import save

    config = {
        "format": FORMAT,
        "labels": list(recognizer.labels),
        "members": len(recognizer.members),
        "width": row_width(recognizer.features),
        "extractors": describe_extractors(specs, recognizer.features.extractors),
    }
    weights = {
        f"{number}.{name}": values
        for number, member in enumerate(recognizer.members)
        for name, values in member.items()
    }
    files = {
        WEIGHTS: save({**weights, **recognizer.scaling.tensors()}),
        CONFIG: as_json(config),
        CARD: as_json(recognizer.card.to_json()),
        README: _readme(recognizer.card).encode(),
    }
    write_folder(folder, files)


def load_categorical(folder: Path, cache_dir: Path, device: str | None = None) -> CategoricalRecognizer:
    """Read what `save_categorical` wrote.

    Args:
        cache_dir: where features are kept.
        device: where the networks run; None for CUDA where there is one.

    Raises:
        UsageError: a file is missing or damaged, or an extractor is not the one that it was trained with.
    """
    from safetensors.numpy import load

    with reading(folder):
        config = read_config(folder, [FORMAT])
        tensors = load((folder / WEIGHTS).read_bytes())
        scaling = Scaling.from_tensors(tensors)
        extractors = tuple(restore_extractor(one, folder) for one in config["extractors"])
        features = FeatureSet(extractors, FeatureCache(cache_dir / "features"))
        if not row_width(features) == config["width"] == len(scaling.mean):
            raise ValueError(f"its input has {len(scaling.mean)} columns, its extractors give {row_width(features)}")
        labels = tuple(config["labels"])
        members = tuple(_member(tensors, number, len(labels)) for number in range(config["members"]))
        card = LabelCard.from_json(read_json(folder / CARD))
    return CategoricalRecognizer(labels, features, scaling, members, card, device or default_device())


def _member(tensors: Mapping[str, NDArray[np.float32]], number: int, labels: int) -> Weights:
    """The weights of one of the networks; ValueError or KeyError where they do not fit the labels or lack."""
    start = f"{number}."
    weights = {name.removeprefix(start): values for name, values in tensors.items() if name.startswith(start)}
    if len(weights["4.weight"]) != labels:
        raise ValueError(f"its network tells {len(weights['4.weight'])} labels, its settings name {labels}")
    return weights


def _readme(card: LabelCard) -> str:
    lines = "\n".join(f"- {line}" for line in card.lines())
    return f"# A recogniser of emotion labels\n\n{lines}\n"
