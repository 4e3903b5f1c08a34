"""A trained recogniser as a folder: weights, settings, calibration, card; read back bit by bit, without network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from avemo_harness.metrics.profiles import Calibration
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
from avemo_harness.recognizers.continuous.card import JudgeCard
from avemo_harness.recognizers.continuous.network import DIMENSIONS
from avemo_harness.recognizers.continuous.recognizer import FORMAT, ContinuousRecognizer
from avemo_harness.recognizers.feature_cache import FeatureCache
from avemo_harness.recognizers.feature_set import FeatureSet
from avemo_harness.recognizers.scaling import Scaling

CALIBRATION = "calibration.json"


def save_checkpoint(recognizer: ContinuousRecognizer, specs: Sequence[str], folder: Path) -> None:
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
        "dimensions": list(DIMENSIONS),
        "width": recognizer.features.width,
        "extractors": describe_extractors(specs, recognizer.features.extractors),
    }
    files = {
        WEIGHTS: save({**recognizer.weights, **recognizer.scaling.tensors()}),
        CONFIG: as_json(config),
        CARD: as_json(recognizer.card.to_json()),
        README: _readme(recognizer.card).encode(),
    }
    if recognizer.calibration is not None:
        files[CALIBRATION] = as_json(asdict(recognizer.calibration))
    write_folder(folder, files)


def load_checkpoint(folder: Path, cache_dir: Path, device: str | None = None) -> ContinuousRecognizer:
    """Read what `save_checkpoint` wrote.

    Args:
        cache_dir: where features are kept.
        device: where the network runs; None for CUDA where there is one.

    A calibration that no profile can be made of is none; the card says why.

    Raises:
        UsageError: a file is missing or damaged, or an extractor is not the one that it was trained with.
    """
    from safetensors.numpy import load

    with reading(folder):
        config = read_config(folder, [FORMAT])
        tensors = load((folder / WEIGHTS).read_bytes())
        scaling = Scaling.from_tensors(tensors)
        extractors = tuple(restore_extractor(one, folder) for one in config["extractors"])
        calibration = Calibration(**read_json(folder / CALIBRATION)) if (folder / CALIBRATION).exists() else None
        problem = calibration.problem() if calibration else None
        if problem:
            calibration = None
        card = JudgeCard.from_json(read_json(folder / CARD))
        card = replace(card, no_calibration=problem or card.no_calibration)
        features = FeatureSet(extractors, FeatureCache(cache_dir / "features"))
        if not features.width == config["width"] == len(scaling.mean):
            raise ValueError(f"its input has {len(scaling.mean)} columns, its extractors give {features.width}")
    return ContinuousRecognizer(features, scaling, tensors, calibration, card, device or default_device())


def _readme(card: JudgeCard) -> str:
    lines = "\n".join(f"- {line}" for line in card.lines())
    return (
        "# A recogniser of valence and arousal\n\n"
        f"{lines}\n\nUse it to judge replies: `avemo-eval judge RUN --recognizer FOLDER`.\n"
    )
