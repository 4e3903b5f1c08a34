"""Trained recognisers as folders (safetensors, JSON, README); the embedded one, which comes trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.release import Release
from avemo_harness.errors import StorageError, UsageError
from avemo_harness.files import exclusive_lock, new_folder, read_json, require_new_folder
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.recognizers.card import DEMO_CORPUS, LabelCard, TrajectoryCard
from avemo_harness.recognizers.corpora.release import labelled_turns, rated_turns
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.base import FeatureExtractor
from avemo_harness.recognizers.features.feature_set import FeatureCache, FeatureSet, Scaling
from avemo_harness.recognizers.heads.labels import LABEL_FORMAT, CategoricalRecognizer, row_width
from avemo_harness.recognizers.heads.training import Method, Weights
from avemo_harness.recognizers.heads.trajectory import (
    DIMENSIONS,
    TRAJECTORY_FORMAT,
    ContinuousRecognizer,
    TrajectorySettings,
)
from avemo_harness.recognizers.heads.trajectory_evaluation import train_on
from avemo_harness.recognizers.judging import JudgeSetup
from avemo_harness.recognizers.recordings import Corpus
from avemo_harness.recognizers.trained import find_trained
from avemo_harness.torch_setup import own_device

_LIBRARIES = {"emotiefflib", "funasr", "transformers"}

WEIGHTS, CONFIG, CARD, README = "model.safetensors", "config.json", "card.json", "README.md"
CALIBRATION = "calibration.json"
NOT_EMPTY = " is not empty; name a new folder for the recogniser"


@contextmanager
def checkpoint_errors(folder: Path) -> Iterator[None]:
    """Turn whatever is wrong with the files of a folder into a UsageError that names it."""
    from safetensors import SafetensorError

    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(f"{folder}: not a trained recogniser ({error.filename} is missing)") from error
    except OSError as error:
        raise StorageError(error.filename or folder, "read", error) from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder}: the recogniser is damaged ({error!r}); train it again") from error


def read_config(folder: Path, formats: Sequence[str]) -> dict[str, Any]:
    """The settings of a recogniser of one of the formats.

    Raises:
        UsageError: it is of another format.
    """
    config: dict[str, Any] = read_json(folder / CONFIG, dict)
    if config["format"] not in formats:
        raise UsageError(
            f"{folder / CONFIG}: expected format {' or '.join(formats)}, found {config['format']}; train it again"
        )
    return config


def describe_extractors(specs: Sequence[str], extractors: Sequence[FeatureExtractor]) -> list[dict[str, Any]]:
    """Names, arguments and identities of extractors, JSON-ready."""
    return [
        {"spec": spec, "identity": dict(extractor.identity())}
        for spec, extractor in zip(specs, extractors, strict=True)
    ]


def restore_extractor(described: Mapping[str, Any], folder: Path) -> FeatureExtractor:
    """Make an extractor again. Another version of a library is no other extractor, but makes another identity.

    Raises:
        UsageError: it is not the one that the recogniser was trained with.
    """
    extractor = make_extractor(described["spec"])
    found, trained = dict(extractor.identity()), described["identity"]
    for key in sorted((set(found) | set(trained)) - _LIBRARIES):
        if found.get(key) != trained.get(key):
            raise UsageError(
                f"{folder}: it was trained on {described['spec']} with {key} = {trained.get(key)!r}, here it is "
                f"{found.get(key)!r}; restore that, or train it again"
            )
    return extractor


def save_recognizer(
    recognizer: CategoricalRecognizer | ContinuousRecognizer, specs: Sequence[str], folder: Path
) -> None:
    """Write a recogniser to a new folder, whole or not at all.

    Args:
        specs: how its extractors are made again (`avemo_harness.recognizers.features.make_extractor`), in order.

    Raises:
        UsageError: the folder holds something already.
        StorageError: it cannot be written.
    """
    from safetensors.numpy import save

    config: dict[str, Any]
    lines = "\n".join(f"- {line}" for line in recognizer.card.lines())
    calibration = None
    if isinstance(recognizer, CategoricalRecognizer):
        members, labels = recognizer.members, list(recognizer.labels)
        config = {"format": LABEL_FORMAT, "labels": labels, "members": len(members)}
        config["width"] = row_width(recognizer.features)
        weights = {f"{i}.{name}": values for i, member in enumerate(members) for name, values in member.items()}
        readme = f"# A recogniser of emotion labels\n\n{lines}\n"
    else:
        config = {"format": TRAJECTORY_FORMAT, "dimensions": list(DIMENSIONS), "width": recognizer.features.width}
        weights, calibration = dict(recognizer.weights), recognizer.calibration
        readme = (
            f"# A recogniser of valence and arousal\n\n{lines}\n\n"
            "Use it to judge replies: `avemo-eval judge RUN --recognizer FOLDER`.\n"
        )
    config["extractors"] = describe_extractors(specs, recognizer.features.extractors)
    require_new_folder(folder, NOT_EMPTY)
    with new_folder(folder) as hidden:
        (hidden / WEIGHTS).write_bytes(save({**weights, **recognizer.scaling.tensors()}))
        for name, values in ((CONFIG, config), (CARD, recognizer.card.to_json())):
            (hidden / name).write_bytes(_as_json(values))
        (hidden / README).write_bytes(readme.encode())
        if calibration is not None:
            (hidden / CALIBRATION).write_bytes(_as_json(asdict(calibration)))


def _as_json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def load_trajectory_recognizer(folder: Path, cache_dir: Path, device: str | None = None) -> ContinuousRecognizer:
    """Read what `save_recognizer` wrote of a recogniser of trajectories.

    A calibration that no profile can be made of is none; the card says why.

    Args:
        cache_dir: where features are kept.
        device: where the network runs; None takes the GPU of this process, else the CPU.

    Raises:
        UsageError: a file is missing or damaged, or an extractor is not the one that it was trained with.
    """
    with checkpoint_errors(folder):
        config = read_config(folder, [TRAJECTORY_FORMAT])
        weights, scaling = _read_weights(folder)
        features = _restore_features(config, folder, cache_dir)
        calibration = Calibration(**read_json(folder / CALIBRATION, dict)) if (folder / CALIBRATION).exists() else None
        problem = calibration.problem() if calibration else None
        if problem:
            calibration = None
        card = TrajectoryCard.from_json(read_json(folder / CARD, dict))
        card = replace(card, no_calibration=problem or card.no_calibration)
        _require_width(features.width, config, scaling)
    return ContinuousRecognizer(features, scaling, weights, calibration, card, device or own_device())


def load_label_recognizer(folder: Path, cache_dir: Path, device: str | None = None) -> CategoricalRecognizer:
    """Read what `save_recognizer` wrote of a recogniser of labels; as `load_trajectory_recognizer`."""
    with checkpoint_errors(folder):
        config = read_config(folder, [LABEL_FORMAT])
        weights, scaling = _read_weights(folder)
        features = _restore_features(config, folder, cache_dir)
        _require_width(row_width(features), config, scaling)
        labels = tuple(config["labels"])
        members = tuple(_member(weights, number, len(labels)) for number in range(config["members"]))
        card = LabelCard.from_json(read_json(folder / CARD, dict))
    return CategoricalRecognizer(labels, features, scaling, members, card, device or own_device())


def _read_weights(folder: Path) -> tuple[Weights, Scaling]:
    from safetensors.numpy import load

    tensors = load((folder / WEIGHTS).read_bytes())
    scaling = Scaling.from_tensors(tensors)
    return tensors, scaling


def _restore_features(config: Mapping[str, Any], folder: Path, cache_dir: Path) -> FeatureSet:
    extractors = tuple(restore_extractor(described, folder) for described in config["extractors"])
    return FeatureSet(extractors, FeatureCache(cache_dir / "features"))


def _require_width(width: int, config: Mapping[str, Any], scaling: Scaling) -> None:
    if not width == config["width"] == len(scaling.mean):
        raise ValueError(f"its input has {len(scaling.mean)} columns, its extractors give {width}")


def _member(tensors: Weights, number: int, labels: int) -> Weights:
    """The weights of one of the networks; ValueError or KeyError where they do not fit the labels or lack."""
    start = f"{number}."
    weights = {name.removeprefix(start): values for name, values in tensors.items() if name.startswith(start)}
    if len(weights["4.weight"]) != labels:
        raise ValueError(f"its network tells {len(weights['4.weight'])} labels, its settings name {labels}")
    return weights


EMBEDDED_EXTRACTORS = ("builtin-sound", "builtin-face")
EMBEDDED_VERSION = 2
"""Raised whenever the same demo begins to give another judge."""
_EMBEDDED_CARD = 2
"""Raised where the same judge gets a card that says more: it is trained once more, to the same weights."""


def open_embedded(setup: JudgeSetup) -> ContinuousRecognizer:
    """The judge of the built-in demo: scores by it on other data are not comparable.

    It comes trained. Where the demo's plan, the features or the settings are others, it is trained on first use, by one
    process for all; the folder's name in the cache then tells what decides it, the versions of the libraries too.
    """
    digest = setup.demo_digest()
    trained = None if digest is None else find_trained("judge", embedded_recipe(digest))
    if trained is not None:
        return load_trajectory_recognizer(trained, setup.cache_dir, setup.device)
    demo = setup.demo()
    folder = setup.cache_dir / f"judge-v{EMBEDDED_VERSION}-{_embedded_digest(demo)}"
    if not folder.exists():
        waiting = partial(setup.say, "another process is training the embedded judge; waiting for it")
        with exclusive_lock(setup.cache_dir / "locks" / folder.name, waiting):
            if not folder.exists():
                train_embedded(demo, folder, setup)
    return load_trajectory_recognizer(folder, setup.cache_dir, setup.device)


def train_embedded(demo: Release, folder: Path, setup: JudgeSetup, seed: int = 0) -> None:
    """Train the judge on the demo's train part, a quarter of whose speakers decide when it is enough."""
    setup.say("training the embedded judge of replies on the demo, once; this takes about half a minute")
    corpus = Corpus(DEMO_CORPUS, tuple(rated_turns(demo)), tuple(labelled_turns(demo)), is_builtin=True)
    extractors = tuple(make_extractor(spec) for spec in EMBEDDED_EXTRACTORS)
    features = FeatureSet(extractors, FeatureCache(setup.cache_dir / "features"))
    trained = train_on(corpus, Method(features, TrajectorySettings(seed=seed), setup.say))
    folder.parent.mkdir(parents=True, exist_ok=True)
    save_recognizer(trained, EMBEDDED_EXTRACTORS, folder)


def embedded_recipe(demo: str) -> dict[str, Any]:
    """Everything that decides the judge but for the versions of libraries, JSON-ready.

    Args:
        demo: digest of what it learns from.
    """
    return {
        "card": _EMBEDDED_CARD,
        "demo": demo,
        "format": TRAJECTORY_FORMAT,
        "settings": asdict(TrajectorySettings()),
        "extractors": [dict(make_extractor(spec).identity()) for spec in EMBEDDED_EXTRACTORS],
    }


def _embedded_digest(demo: Release) -> str:
    versions = {name: version(name) for name in ("torch", "numpy", "av")}
    decides = {**embedded_recipe(demo.fingerprint), "versions": versions}
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:10]
