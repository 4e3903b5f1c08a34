"""Trained recognisers as folders: safetensors, JSON and a page to read, written whole or not at all."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avemo_harness.errors import StorageError, UsageError
from avemo_harness.recognizers.extractors import make_extractor
from avemo_harness.recognizers.extractors.base import FeatureExtractor

_LIBRARIES = {"emotiefflib", "funasr", "transformers"}

WEIGHTS, CONFIG, CARD, README = "model.safetensors", "config.json", "card.json", "README.md"


def require_new_folder(folder: Path) -> None:
    """Refuse a path where something is, before anything slow (UsageError)."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; name a new folder for the recogniser")


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a new folder.

    Raises:
        UsageError: it holds something already.
        StorageError: it cannot be written.
    """
    require_new_folder(folder)
    hidden = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        hidden.mkdir(parents=True)
        for name, content in files.items():
            (hidden / name).write_bytes(content)
        hidden.rename(folder)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise StorageError(folder, "written", error) from error


@contextmanager
def reading(folder: Path) -> Iterator[None]:
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
    config: dict[str, Any] = read_json(folder / CONFIG)
    if config["format"] not in formats:
        raise UsageError(
            f"{folder / CONFIG}: expected format {' or '.join(formats)}, found {config['format']}; train it again"
        )
    return config


def describe_extractors(specs: Sequence[str], extractors: Sequence[FeatureExtractor]) -> list[dict[str, Any]]:
    """How extractors are made again, and who they are, JSON-ready."""
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


def default_device() -> str:
    """CUDA where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def as_json(values: Mapping[str, Any]) -> bytes:
    """Readable JSON with sorted keys."""
    return (json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
