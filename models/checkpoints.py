"""Checkpoints of transformers models: which weights exactly, and how they are loaded onto this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from avemo_harness.errors import ModelError, UsageError
from avemo_harness.inference import own_device, quiet_loading
from avemo_harness.weights import find_weights

DType = Literal["auto", "float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]

GENERATION_CODE = "custom_generate/generate.py"
"""Where a checkpoint may have a ``generate`` of its own."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights that are pinned down.

    Args:
        path: Hub id or folder, for ``from_pretrained``.
        revision: commit of a Hub id.
        config: the checkpoint's `config.json`.
        weights: what the weights are, independent of where they lie: ``id@commit`` or a digest of the folder's content.
    """

    path: str
    revision: str | None
    config: Mapping[str, Any]
    weights: str

    def dtype(self, asked: DType) -> str:
        """The name of the data type asked for; ``auto`` is the one that the checkpoint was saved in, else float32."""
        if asked != "auto":
            return asked
        found = next((value for value in _named_dtypes(self.config) if value), "float32")
        return str(found).removeprefix("torch.")


def resolve(pretrained: str, revision: str | None, say: Callable[[str], None] = lambda sentence: None) -> Checkpoint:
    """Pin a checkpoint down: the commit of a Hub id, or the content of a local folder.

    Args:
        say: takes a sentence for the user before something slow.

    Raises:
        ModelError: there is no such checkpoint, it cannot be reached and is not in the cache, or it is a folder that
            brings code which loading would run.
    """
    if not pretrained:
        raise ModelError("name a checkpoint: --model_args pretrained=HUB_ID_OR_FOLDER")
    try:
        weights = find_weights(pretrained, revision, say=say)
        config = weights.settings("config.json")
    except UsageError as error:
        raise ModelError(str(error)) from error
    if not config:
        raise ModelError(f"{pretrained}: not a checkpoint: it has no config.json")
    if weights.revision is None and (code := Path(weights.path) / GENERATION_CODE).exists():
        # Some releases of transformers run it while they load weights, whatever they are told of trust.
        raise ModelError(
            f"{code}: code that would run while the weights are loaded, and nothing here needs it; delete it"
        )
    return Checkpoint(weights.path, weights.revision, config, weights.content)


def loading(
    checkpoint: Checkpoint, dtype: DType, attn: Attention, device_map: str | None, device: str | None
) -> dict[str, Any]:
    """Keyword arguments for ``from_pretrained``.

    Args:
        device_map: as accelerate knows it, such as ``auto`` to spread one model over several devices.
        device: where the whole model runs without a `device_map`; None takes the GPU of this process, else the CPU.

    Raises:
        ModelError: flash attention is asked for and not installed, or both a device and a device map are.
    """
    import torch

    if attn == "flash_attention_2" and find_spec("flash_attn") is None:
        raise ModelError("attn=flash_attention_2 needs the package flash-attn, which is not installed; use attn=sdpa")
    if device_map is not None and device is not None:
        raise ModelError("--device and the model argument device_map exclude each other; give one of them")
    return {
        "revision": checkpoint.revision,
        "dtype": getattr(torch, checkpoint.dtype(dtype)),
        "attn_implementation": attn,
        "device_map": device_map or {"": device or own_device()},
    }


def load_weights(model_class: Any, checkpoint: Checkpoint, how: Mapping[str, Any]) -> Any:
    """Load a model for answering: no weight may be missing or of another shape.

    Args:
        model_class: a `PreTrainedModel`.
        how: keyword arguments for ``from_pretrained``, as `loading` gives them.

    Raises:
        ModelError: the checkpoint lacks weights of the class.
    """
    from transformers import PreTrainedModel

    # The base class's method: some classes override it and cannot say what was missing.
    base: Any = PreTrainedModel
    load = base.from_pretrained.__func__
    with quiet_loading():
        model, found = load(model_class, checkpoint.path, output_loading_info=True, trust_remote_code=False, **how)
    if lacking := sorted([*found["missing_keys"], *(str(one) for one in found["mismatched_keys"])]):
        raise ModelError(
            f"{checkpoint.path}: not a whole checkpoint of {model_class.__name__}: {len(lacking)} weights are missing "
            f"or of another shape, such as {lacking[0]}"
        )
    return model.eval().requires_grad_(False)


def _named_dtypes(config: Mapping[str, Any]) -> Iterator[Any]:
    yield config.get("dtype") or config.get("torch_dtype")
    for part in ("thinker_config", "text_config"):
        if isinstance(config.get(part), dict):
            yield from _named_dtypes(config[part])
