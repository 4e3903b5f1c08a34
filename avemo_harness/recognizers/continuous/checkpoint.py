"""A trained recogniser as a folder: weights, settings, calibration, card; read back bit by bit, without network."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avemo_harness.errors import StoreError, UsageError
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.recognizers.continuous.card import JudgeCard
from avemo_harness.recognizers.continuous.network import DIMENSIONS
from avemo_harness.recognizers.continuous.recognizer import FORMAT, ContinuousRecognizer
from avemo_harness.recognizers.extractors import make_extractor
from avemo_harness.recognizers.extractors.base import FeatureExtractor
from avemo_harness.recognizers.feature_cache import FeatureCache
from avemo_harness.recognizers.feature_set import FeatureSet
from avemo_harness.recognizers.scaling import Scaling

WEIGHTS, CONFIG, CALIBRATION, CARD, README = (
    "model.safetensors",
    "config.json",
    "calibration.json",
    "card.json",
    "README.md",
)


def save_checkpoint(recognizer: ContinuousRecognizer, specs: Sequence[str], folder: Path) -> None:
    """Write a recogniser to a new folder, whole or not at all.

    Args:
        specs: how its extractors are made again (`avemo_harness.recognizers.extractors.make_extractor`), in order.

    Raises:
        UsageError: the folder holds something already.
        StoreError: it cannot be written.
    """
    from safetensors.numpy import save

    require_new_folder(folder)
    config = {
        "format": FORMAT,
        "dimensions": list(DIMENSIONS),
        "width": recognizer.features.width,
        "extractors": [
            {"spec": spec, "identity": dict(extractor.identity())}
            for spec, extractor in zip(specs, recognizer.features.extractors, strict=True)
        ],
    }
    tensors = {
        **recognizer.weights,
        "scaling.mean": recognizer.scaling.mean,
        "scaling.deviation": recognizer.scaling.deviation,
    }
    hidden = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        hidden.mkdir(parents=True)
        (hidden / WEIGHTS).write_bytes(save(dict(tensors)))
        (hidden / CONFIG).write_text(_json(config), encoding="utf-8")
        if recognizer.calibration is not None:
            (hidden / CALIBRATION).write_text(_json(asdict(recognizer.calibration)), encoding="utf-8")
        (hidden / CARD).write_text(_json(recognizer.card.to_json()), encoding="utf-8")
        (hidden / README).write_text(_readme(recognizer.card), encoding="utf-8")
        hidden.rename(folder)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise StoreError(f"{folder}: cannot be written ({error.strerror})") from error


def require_new_folder(folder: Path) -> None:
    """Refuse a path where something is, before anything slow (UsageError)."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; name a new folder for the recogniser")


def load_checkpoint(folder: Path, cache_dir: Path, device: str | None = None) -> ContinuousRecognizer:
    """Read what `save_checkpoint` wrote.

    Args:
        cache_dir: where features are kept.
        device: where the network runs; None for CUDA where there is one.

    Raises:
        UsageError: a file is missing or damaged, or an extractor is not the one that it was trained with.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        config = _read_json(folder / CONFIG)
        if config["format"] != FORMAT:
            raise UsageError(f"{folder / CONFIG}: expected format {FORMAT}, found {config['format']}; train it again")
        tensors = load((folder / WEIGHTS).read_bytes())
        scaling = Scaling(tensors.pop("scaling.mean"), tensors.pop("scaling.deviation"))
        extractors = tuple(_extractor(one, folder) for one in config["extractors"])
        calibration = Calibration(**_read_json(folder / CALIBRATION)) if (folder / CALIBRATION).exists() else None
        card = JudgeCard.from_json(_read_json(folder / CARD))
        features = FeatureSet(extractors, FeatureCache(cache_dir / "features"))
        if not features.width == config["width"] == len(scaling.mean):
            raise ValueError(f"its input has {len(scaling.mean)} columns, its extractors give {features.width}")
    except FileNotFoundError as error:
        raise UsageError(f"{folder}: not a trained recogniser ({error.filename} is missing)") from error
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder}: the recogniser is damaged ({error!r}); train it again") from error
    return ContinuousRecognizer(features, scaling, tensors, calibration, card, device or _default_device())


def _extractor(described: Mapping[str, Any], folder: Path) -> FeatureExtractor:
    extractor = make_extractor(described["spec"])
    found, trained = dict(extractor.identity()), described["identity"]
    for key in sorted(set(found) | set(trained)):
        if found.get(key) != trained.get(key):
            raise UsageError(
                f"{folder}: it was trained on {described['spec']} with {key} = {trained.get(key)!r}, here it is "
                f"{found.get(key)!r}; restore that, or train it again"
            )
    return extractor


def _default_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _readme(card: JudgeCard) -> str:
    lines = "\n".join(f"- {line}" for line in card.lines())
    return (
        "# A recogniser of valence and arousal\n\n"
        f"{lines}\n\nUse it to judge replies: `avemo-eval judge RUN --recognizer FOLDER`.\n"
    )
