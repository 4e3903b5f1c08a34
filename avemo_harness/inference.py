"""Neural networks on this machine: their device, and transformers without its chatter and beside any torchvision."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from avemo_harness.errors import message_of


def own_device() -> str:
    """The device of this process: of several launched together each has its own GPU; without GPUs, the CPU."""
    import torch

    if torch.cuda.is_available():
        return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"
    return "cpu"


def device_is_lost(error: BaseException) -> bool:
    """Tell if an error leaves a GPU of no more use to this process, such as a failed assertion in a kernel.

    Memory that runs out does not.
    """
    said = message_of(error)
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "AcceleratorError" or said.startswith(("CUDA error:", "HIP error:"))
    )


_declared: list[Any] = []
"""Keeps torchvision's declared operators alive: they vanish with the library object."""


def import_transformers() -> Any:
    """The package transformers, also beside a torchvision that does not load by itself."""
    repair_torchvision()
    return import_module("transformers")


def repair_torchvision() -> None:
    """Make torchvision importable, where it is installed, on machines without CUDA: its compiled part does not load.

    Its two compiled operators are not needed here: declaring them is enough.
    """
    import torch

    try:
        import_module("torchvision")
    except ImportError:
        pass  # (transformers does without it)
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


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers from reporting at length what a checkpoint holds besides, or has odd on purpose.

    What lacks is an error of ours.
    """
    chatter: Any = import_module("transformers.utils.logging")
    level, bar = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity_error()
    if not sys.stderr.isatty():
        chatter.disable_progress_bar()
    try:
        yield
    finally:
        chatter.set_verbosity(level)
        if bar:
            chatter.enable_progress_bar()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread of the CPU: small networks are fastest so, and the same on any number of processors."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
