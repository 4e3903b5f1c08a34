"""Checkpoints that bring their own code: from a pinned revision only, and without a way to any other repository."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from avemo_harness.errors import ModelError, UsageError, first_line
from avemo_harness.inference import import_transformers, own_device, quiet_loading
from avemo_harness.models.checkpoints import Attention, Checkpoint, DType
from avemo_harness.weights import Weights, find_weights

SETTINGS = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
"""Files that may name code of a checkpoint."""
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class RemoteCheckpoint:
    """A checkpoint whose code may be run, since it is known what it is.

    Args:
        weights: a folder, known by its content, or a commit of a Hub repository.
        config: the checkpoint's `config.json`.
    """

    weights: Weights
    config: Mapping[str, Any]

    @cached_property
    def folder(self) -> Path:
        """All the files on this machine, so that the code finds its processor and its assets beside itself.

        Raises:
            ModelError: the Hub cannot be reached and the files are not in its cache.
        """
        try:
            return self.weights.folder()
        except UsageError as error:
            raise ModelError(str(error)) from error

    def dtype(self, asked: DType) -> str:
        """As in `Checkpoint`."""
        return Checkpoint(self.weights.path, self.weights.revision, self.config, self.weights.content).dtype(asked)


def resolve_remote(
    name: str, pretrained: str, revision: str | None, say: Callable[[str], None] = lambda sentence: None
) -> RemoteCheckpoint:
    """Pin a checkpoint with code of its own down.

    Args:
        name: of the model class, for messages.
        revision: the whole commit of a Hub id; None for a folder.

    Raises:
        ModelError: there is no such checkpoint, its revision can move, or its code lies in another repository.
    """
    if not pretrained:
        raise ModelError("name a checkpoint: --model_args pretrained=HUB_ID_OR_FOLDER")
    try:
        weights = find_weights(pretrained, revision, say=say)
        config = weights.settings("config.json")
    except UsageError as error:
        raise ModelError(str(error)) from error
    if weights.revision is not None and not (revision and COMMIT.fullmatch(revision)):
        raise ModelError(
            f"{name} runs code from {pretrained}, so name the commit that you trust: revision={weights.revision} is "
            f"what {revision or 'its main branch'} stands for now"
        )
    if not config:
        raise ModelError(f"{pretrained}: not a checkpoint: it has no config.json")
    if not config.get("auto_map"):
        raise ModelError(f"{pretrained}: not a checkpoint for {name}: its config.json names no code (auto_map)")
    for place in _code_places(weights):
        if "--" in place:
            raise ModelError(
                f"{pretrained}: some of its code lies in another repository ({place}), whose revision nothing pins "
                "down; give the original checkpoint"
            )
    return RemoteCheckpoint(weights, config)


def _code_places(weights: Weights) -> Iterator[str]:
    """Every piece of code that the checkpoint's settings name."""
    for name in SETTINGS:
        for place in (weights.settings(name).get("auto_map") or {}).values():
            yield from (str(one) for one in (place if isinstance(place, list) else [place]))


@dataclass(frozen=True, slots=True)
class Placement:
    """How and where a model is loaded.

    Args:
        dtype: name of a torch data type.
        attn: implementation of attention; None leaves it to the checkpoint.
        device_map: as accelerate knows it; None keeps the model on one device.
        device: that device; None takes the GPU of this process, else the CPU.
    """

    dtype: str
    attn: Attention | None
    device_map: str | None
    device: str | None


def load_remote(auto_class: str, checkpoint: RemoteCheckpoint, where: Placement, **settings: Any) -> Any:
    """Load a model by its own code for answering: no weight may be missing or of another shape.

    Args:
        auto_class: name of a class of transformers, such as ``AutoModel``.
        settings: fields of the config to replace.

    Raises:
        ModelError: the code does not run here, or the checkpoint lacks weights.
    """
    import torch

    if where.device_map is not None and where.device is not None:
        raise ModelError("--device and the model argument device_map exclude each other; give one of them")
    how = {
        **({} if where.attn is None else {"attn_implementation": where.attn}),
        **({} if where.device_map is None else {"device_map": where.device_map}),
        "torch_dtype": getattr(torch, where.dtype),
    }
    model_class = getattr(import_transformers(), auto_class)
    folder = checkpoint.folder
    try:
        cache_code(checkpoint)
        with quiet_loading():
            model, found = model_class.from_pretrained(
                str(folder), trust_remote_code=True, output_loading_info=True, **how, **settings
            )
    except (ImportError, AttributeError, OSError, TypeError, ValueError, RuntimeError) as error:
        raise unfit(checkpoint, error) from error
    if lacking := sorted([*found["missing_keys"], *(str(one) for one in found["mismatched_keys"])]):
        raise ModelError(
            f"{checkpoint.weights.path}: not a whole checkpoint of {type(model).__name__}: {len(lacking)} weights are "
            f"missing or of another shape, such as {lacking[0]}"
        )
    if where.device_map is None:
        model = model.to(where.device or own_device())
    return model.eval().requires_grad_(False)


def cache_code(checkpoint: RemoteCheckpoint) -> None:
    """Let transformers know every piece of the code: of a folder, it misses what only other pieces import."""
    modules: Any = import_module("transformers.dynamic_module_utils")
    folder = checkpoint.folder
    for name in sorted({place.split(".")[0] for place in _code_places(checkpoint.weights) if place != "None"}):
        file = folder / f"{name}.py"
        for piece in (file, *modules.get_relative_import_files(str(file))):
            modules.get_cached_module_file(str(folder), Path(piece).name)


def load_tokenizer(checkpoint: RemoteCheckpoint) -> Any:
    """The checkpoint's tokenizer (ModelError where its code does not run here)."""
    tokenizer_class = import_transformers().AutoTokenizer
    try:
        with quiet_loading():
            return tokenizer_class.from_pretrained(str(checkpoint.folder), trust_remote_code=True)
    except (ImportError, AttributeError, OSError, TypeError, ValueError) as error:
        raise unfit(checkpoint, error) from error


def unfit(checkpoint: RemoteCheckpoint, error: Exception) -> ModelError:
    """The error of code that does not run here."""
    from importlib.metadata import version

    return ModelError(
        f"{checkpoint.weights.path}: its code does not run with transformers {version('transformers')} "
        f"({type(error).__name__}: {first_line(error)}); it is made for 4.45.0"
    )
