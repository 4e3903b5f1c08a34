"""Checkpoints of transformers models: which weights exactly, and how they are loaded onto this machine."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from avemo_harness import paths
from avemo_harness.errors import ModelError, first_line

DType = Literal["auto", "float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]

CONTENT = (".json", ".safetensors", ".pt", ".bin", ".txt", ".model", ".jinja", ".tiktoken")
"""Kinds of files in a checkpoint's folder that may change an answer."""


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
        ModelError: there is no such checkpoint, or it cannot be reached and is not in the cache.
    """
    if not pretrained:
        raise ModelError("name a checkpoint: --model_args pretrained=HUB_ID_OR_FOLDER")
    folder = Path(pretrained).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise ModelError(f"{pretrained} is a folder, which has no revision; leave `revision` out")
        config = _read_config(folder / "config.json", pretrained)
        return Checkpoint(str(folder.resolve()), None, config, f"sha256:{_folder_digest(folder.resolve(), say)}")
    if folder.is_absolute() or pretrained.startswith((".", "~")) or pretrained.count("/") > 1:
        raise ModelError(f"{pretrained}: no such folder")
    return _resolve_hub(pretrained, revision)


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
    with quiet_configs():
        model, found = load(model_class, checkpoint.path, output_loading_info=True, **how)
    if lacking := sorted([*found["missing_keys"], *(str(one) for one in found["mismatched_keys"])]):
        raise ModelError(
            f"{checkpoint.path}: not a whole checkpoint of {model_class.__name__}: {len(lacking)} weights are missing "
            f"or of another shape, such as {lacking[0]}"
        )
    return model.eval().requires_grad_(False)


@contextmanager
def quiet_configs() -> Iterator[None]:
    """Keep transformers from warning of token ids that the published configs of sub-models share on purpose."""
    chatter: Any = import_module("transformers.utils.logging")
    logger = logging.getLogger("transformers.configuration_utils")
    level, bar = logger.level, chatter.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    if not sys.stderr.isatty():
        chatter.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bar:
            chatter.enable_progress_bar()


def own_device() -> str:
    """The device of this process: of several launched together each has its own GPU; without GPUs, the CPU."""
    import torch

    if torch.cuda.is_available():
        return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"
    return "cpu"


_declared: list[Any] = []
"""Keeps torchvision's declared operators alive: they vanish with the library object."""


def ensure_torchvision() -> None:
    """Make torchvision importable beside a torch without CUDA; call it before the first import of transformers.

    Its wheel registers two operators whose compiled part does not load there. Declaring them is enough: the transforms
    of video processors are plain torch.
    """
    import torch

    try:
        import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library_class: Any = torch.library.Library
        library = library_class("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, operator):
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)
        import_module("torchvision")


def _named_dtypes(config: Mapping[str, Any]) -> Iterator[Any]:
    yield config.get("dtype") or config.get("torch_dtype")
    for part in ("thinker_config", "text_config"):
        if isinstance(config.get(part), dict):
            yield from _named_dtypes(config[part])


def _read_config(path: Path, name: str) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{name}: not a checkpoint: config.json cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: must hold a JSON object")
    return config


def _resolve_hub(pretrained: str, revision: str | None) -> Checkpoint:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    where = f"{pretrained}@{revision}" if revision else pretrained
    try:
        config = Path(hf_hub_download(pretrained, "config.json", revision=revision))
    except HFValidationError as error:
        raise ModelError(f"{pretrained}: neither a folder nor a Hub id ({error})") from error
    except HfHubHTTPError as error:
        raise ModelError(f"{where}: the Hub refuses it ({first_line(error)})") from error
    except Exception as error:
        # However the connection failed, the commit that the revision last stood for may be in the cache.
        try:
            config = Path(hf_hub_download(pretrained, "config.json", revision=revision, local_files_only=True))
        except LocalEntryNotFoundError:
            raise ModelError(
                f"{where}: the Hub cannot be reached and the checkpoint is not in the cache; download it first, or "
                "give a folder: --model_args pretrained=FOLDER"
            ) from error
    commit = config.parent.name
    return Checkpoint(pretrained, commit, _read_config(config, pretrained), f"{pretrained}@{commit}")


def _folder_digest(folder: Path, say: Callable[[str], None]) -> str:
    """Digest of the names and contents of a folder's files. What was hashed before is known by size and time."""
    known_at = paths.cache_dir() / "weights" / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}.json"
    known: dict[str, list[Any]] = json.loads(known_at.read_text(encoding="utf-8")) if known_at.exists() else {}
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in CONTENT and path.is_file()]
    facts: dict[str, list[Any]] = {}
    new = 0
    for path in files:
        name, stat = path.relative_to(folder).as_posix(), path.stat()
        if name in known and known[name][:2] == [stat.st_size, stat.st_mtime_ns]:
            facts[name] = known[name]
            continue
        if stat.st_size > 2**30 and not new:
            say(f"reading {folder} once, to know its weights by their content")
        with open(path, "rb") as handle:
            facts[name] = [stat.st_size, stat.st_mtime_ns, _file_digest(handle)]
        new += 1
    if new:
        paths.write_atomically(known_at, json.dumps(facts))
    content = json.dumps([[name, digest] for name, (_, _, digest) in facts.items()])
    return hashlib.sha256(content.encode()).hexdigest()


def _file_digest(handle: Any) -> str:
    digest = hashlib.sha256()
    while block := handle.read(2**22):
        digest.update(block)
    return digest.hexdigest()
