"""Pin checkpoints down and load them, by classes of transformers or by the code they bring."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

from avemo_harness.errors import ModelError, UsageError, first_line
from avemo_harness.phases import phase
from avemo_harness.text import Notify
from avemo_harness.torch_setup import (
    Weights,
    find_weights,
    import_transformers,
    missing_weights,
    own_device,
    quiet_loading,
)

DType = Literal["auto", "float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]

GENERATION_CODE = "custom_generate/generate.py"
"""Path of a ``generate`` that a checkpoint may bring."""
SETTINGS = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
"""Files that may name code of a checkpoint."""
UNFIT = (AssertionError, AttributeError, ImportError, NameError, OSError, RuntimeError, TypeError, ValueError)
"""Errors of code that is made for other versions of its packages, or finds other files than it expects."""
MADE_FOR = "4.45.0"
"""The release of transformers that runs the code of all these models."""
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is pinned down, so that it is known which code and weights it stands for.

    Args:
        weights: a commit of a Hub repository, or a folder, known by its content.
        config: the checkpoint's `config.json`.
    """

    weights: Weights
    config: Mapping[str, Any]

    def dtype(self, wanted: DType) -> str:
        """The name of a data type; ``auto`` is the one that the checkpoint was saved in, else float32."""
        if wanted != "auto":
            return wanted
        found = next((value for value in _named_dtypes(self.config) if value), "float32")
        return str(found).removeprefix("torch.")

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

    def check_type(self, name: str, model_type: str) -> None:
        """Raise a ModelError where the checkpoint is of another model than the class `name` is for."""
        if (found := self.config.get("model_type")) != model_type:
            raise ModelError(
                f"{self.weights.path}: not a checkpoint for {name}: the model_type in its config.json is {found!r}, "
                f"not {model_type!r}"
            )


def _named_dtypes(config: Mapping[str, Any]) -> Iterator[Any]:
    yield config.get("dtype") or config.get("torch_dtype")
    for part in ("thinker_config", "text_config"):
        if isinstance(config.get(part), dict):
            yield from _named_dtypes(config[part])


@dataclass(frozen=True, slots=True)
class Placement:
    """Data type, attention and device of a model.

    Args:
        dtype: name of a torch data type.
        attn: implementation of attention; None leaves it to the checkpoint or the library.
        device_map: as accelerate knows it, such as ``auto`` to spread one model over several devices; None keeps the
            model on one device.
        device: that device; None takes the GPU of this process, else the CPU.

    Raises:
        ModelError: flash attention is wanted and not installed, or both a device and a device map are given.
    """

    dtype: str
    attn: Attention | None
    device_map: str | None
    device: str | None

    def __post_init__(self) -> None:
        if self.attn == "flash_attention_2" and find_spec("flash_attn") is None:
            raise ModelError(
                "attn=flash_attention_2 needs the package flash-attn, which is not installed; use attn=sdpa"
            )
        if self.device_map is not None and self.device is not None:
            raise ModelError("--device and the model argument device_map exclude each other; give one of them")

    @property
    def one_device(self) -> str:
        """The device of a model that is not spread by a device map."""
        return self.device or own_device()

    @property
    def attention(self) -> dict[str, Any]:
        """Keyword arguments for ``from_pretrained`` that choose the attention."""
        return {} if self.attn is None else {"attn_implementation": self.attn}


def resolve(pretrained: str, revision: str | None, say: Notify = lambda sentence: None) -> Checkpoint:
    """Pin a checkpoint down: the commit of a Hub id, or the content of a local folder.

    Raises:
        ModelError: there is no such checkpoint, it cannot be reached and is not in the cache, or it is a folder that
            brings code which loading would run.
    """
    checkpoint = _pin(pretrained, revision, say)
    if not checkpoint.config:
        raise ModelError(f"{pretrained}: not a checkpoint: it has no config.json")
    weights = checkpoint.weights
    if weights.revision is None and (code := Path(weights.path) / GENERATION_CODE).exists():
        # Some releases of transformers run it while they load weights, whatever they are told of trust.
        raise ModelError(
            f"{code}: code that would run while the weights are loaded, and nothing here needs it; delete it"
        )
    return checkpoint


def resolve_remote(
    name: str,
    pretrained: str,
    revision: str | None,
    trust_code: bool = False,
    say: Notify = lambda sentence: None,
) -> Checkpoint:
    """Pin a checkpoint with code of its own down. None of the code is run by it.

    Args:
        name: of the model class, for messages.
        revision: the whole commit of a Hub id; None for a folder.
        trust_code: the user has said that a folder's code may run.

    Raises:
        ModelError: there is no such checkpoint, its revision can move, it is a folder whose code is not trusted, or
            some of its code lies in another repository.
    """
    checkpoint = _pin(pretrained, revision, say)
    weights, config = checkpoint.weights, checkpoint.config
    if weights.revision is not None and not (revision and COMMIT.fullmatch(revision)):
        raise ModelError(
            f"{name} runs code from {pretrained}, so name the commit that you trust: revision={weights.revision} is "
            f"what {revision or 'its main branch'} stands for now"
        )
    if not config:
        raise ModelError(f"{pretrained}: not a checkpoint: it has no config.json")
    if not config.get("auto_map"):
        raise ModelError(f"{pretrained}: not a checkpoint for {name}: its config.json names no code (auto_map)")
    for reference in _code_references(weights):
        if "--" in reference:
            raise ModelError(
                f"{pretrained}: some of its code lies in another repository ({reference}), whose revision nothing pins "
                "down; give the original checkpoint"
            )
    if weights.revision is None:
        check_trust(name, weights.path, trust_code)
    return checkpoint


def _pin(pretrained: str, revision: str | None, say: Notify) -> Checkpoint:
    if not pretrained:
        raise ModelError("name a checkpoint: --model_args pretrained=HUB_ID_OR_FOLDER")
    try:
        weights = find_weights(pretrained, revision, say=say)
        return Checkpoint(weights, weights.settings("config.json"))
    except UsageError as error:
        raise ModelError(str(error)) from error


def check_trust(name: str, folder: Path | str, trust_code: bool) -> None:
    """Refuse to run code of a folder that the user has not said to trust (ModelError)."""
    if not trust_code:
        raise ModelError(f"{name} runs code from the folder {folder}; if you trust it, say so: trust_code=true")


def _code_references(weights: Weights) -> Iterator[str]:
    """Every piece of code that the checkpoint's settings name."""
    for name in SETTINGS:
        for reference in (weights.settings(name).get("auto_map") or {}).values():
            yield from map(str, reference if isinstance(reference, list) else [reference])


@phase("load")
def load_native(model_class: Any, checkpoint: Checkpoint, placement: Placement, **settings: Any) -> Any:
    """Load a model by a class of transformers for inference.

    Args:
        model_class: a `PreTrainedModel`.
        settings: further keyword arguments of ``from_pretrained``.

    Raises:
        ModelError: the checkpoint lacks weights of the class.
    """
    import torch
    from transformers import PreTrainedModel

    # The base class's method: some classes override it and cannot say what was missing.
    load = PreTrainedModel.from_pretrained.__func__  # type: ignore[attr-defined]
    with quiet_loading():
        model, found = load(
            model_class,
            checkpoint.weights.path,
            revision=checkpoint.weights.revision,
            dtype=getattr(torch, placement.dtype),
            device_map=placement.device_map or {"": placement.one_device},
            output_loading_info=True,
            trust_remote_code=False,
            **placement.attention,
            **settings,
        )
    return _whole(model, found, checkpoint)


@phase("load")
def load_remote(auto_class: str, checkpoint: Checkpoint, placement: Placement, **settings: Any) -> Any:
    """Load a model by its own code for inference.

    Args:
        auto_class: name of a class of transformers, such as ``AutoModel``.
        settings: fields of the config to replace.

    Raises:
        ModelError: the code does not run here, or the checkpoint lacks weights.
    """
    import torch

    model_class = getattr(import_transformers(), auto_class)
    folder = checkpoint.folder
    try:
        restore_torch_names()
        repair_torchaudio()
        cache_code(checkpoint)
        with quiet_loading():
            model, found = model_class.from_pretrained(
                str(folder),
                trust_remote_code=True,
                output_loading_info=True,
                torch_dtype=getattr(torch, placement.dtype),
                **({} if placement.device_map is None else {"device_map": placement.device_map}),
                **placement.attention,
                **settings,
            )
    except UNFIT as error:
        raise unfit(checkpoint, error) from error
    model = _whole(model, found, checkpoint)
    if placement.device_map is not None:
        return model
    device = placement.one_device
    try:
        return model.to(device)
    except (AssertionError, RuntimeError) as error:
        raise ModelError(f"{checkpoint.weights.path}: cannot be put on {device} ({first_line(error)})") from error


def _whole(model: Any, found: Mapping[str, Any], checkpoint: Checkpoint) -> Any:
    """The model for inference; a ModelError where a weight is missing or of another shape.

    Args:
        found: the loading info of ``from_pretrained``.
    """
    if lacking := missing_weights(found):
        raise ModelError(
            f"{checkpoint.weights.path}: not a whole checkpoint of {type(model).__name__}: {len(lacking)} weights are "
            f"missing or of another shape, such as {lacking[0]}"
        )
    return model.eval().requires_grad_(False)


def restore_torch_names() -> None:
    """Give `torch.nn.functional` the name ``List`` back, which published code takes from it; torch has dropped it."""
    functional: Any = import_module("torch.nn.functional")
    if not hasattr(functional, "List"):
        functional.List = list


def repair_torchaudio() -> None:
    """Make torchaudio, where it is installed, importable beside any torch and able to read sound files.

    Its compiled part loads only beside the very torch and CUDA that it was built for; what published code takes from
    it is plain torch. Its functions that read files are gone since 2.9; soundfile does the same in their place.
    """
    try:
        torchaudio: Any = import_module("torchaudio")
    except ImportError:
        return  # (code that needs it says so)
    except (OSError, RuntimeError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        compiled: Any = ModuleType("torchaudio._extension")
        compiled._IS_TORCHAUDIO_EXT_AVAILABLE, compiled.fail_if_no_align = False, lambda function: function
        sys.modules[compiled.__name__] = compiled
        torchaudio = import_module("torchaudio")
    if not hasattr(torchaudio, "info"):
        torchaudio.list_audio_backends = lambda: ["soundfile"]
        torchaudio.info, torchaudio.load = _sound_info, _read_sound


def _sound_info(path: str) -> SimpleNamespace:
    """As `torchaudio.info` was, by soundfile."""
    import soundfile

    found = soundfile.info(path)
    return SimpleNamespace(sample_rate=found.samplerate, num_frames=found.frames, num_channels=found.channels)


def _read_sound(path: str, normalize: bool = True) -> tuple[Any, int]:
    """As `torchaudio.load` was, by soundfile: float32 [channels, n] with full scale at 1."""
    import soundfile
    import torch

    del normalize
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return torch.from_numpy(samples.T.copy()), int(rate)


def cache_code(checkpoint: Checkpoint) -> None:
    """Let transformers know every piece of the code: of a folder, it misses what only other pieces import."""
    modules: Any = import_module("transformers.dynamic_module_utils")
    folder = checkpoint.folder
    references = set(_code_references(checkpoint.weights)) - {"None"}
    for name in sorted({reference.split(".")[0] for reference in references}):
        file = folder / f"{name}.py"
        modules.get_cached_module_file(str(folder), file.name)
        for piece in modules.get_relative_import_files(str(file)):
            # It takes a piece's fallback, for when it is run by itself, for a package that is missing.
            with suppress(ImportError):
                modules.get_cached_module_file(str(folder), Path(piece).name)


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The checkpoint's tokenizer (ModelError where its code does not run here)."""
    tokenizer_class = import_transformers().AutoTokenizer
    try:
        with quiet_loading():
            return tokenizer_class.from_pretrained(str(checkpoint.folder), trust_remote_code=True)
    except UNFIT as error:
        raise unfit(checkpoint, error) from error


def unfit(checkpoint: Checkpoint, error: Exception) -> ModelError:
    """The error of code that does not run here."""
    from importlib.metadata import version

    here = version("transformers")
    return ModelError(
        f"{checkpoint.weights.path}: its code does not run with transformers {here} "
        f"({type(error).__name__}: {first_line(error)})" + ("" if here == MADE_FOR else f"; it is made for {MADE_FOR}")
    )
