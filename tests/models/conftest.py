"""Tiny checkpoints, made once a session, and what they are held against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from avemo_harness.models import load_class, requires_of, unmet
from avemo_harness.models.base import ModelSetup
from avemo_harness.torch_setup import repair_torchvision

if TYPE_CHECKING:
    from support.published_qwen import PublishedQwen

    from avemo_harness.models.qwen_omni import QwenOmni


@pytest.fixture(scope="session")
def _quiet() -> None:
    """One thread, on which tiny models are fastest, and no chatter about tiny configs."""
    import torch

    repair_torchvision()
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


@pytest.fixture(scope="session")
def qwen_folder(_quiet: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2.5-Omni checkpoint."""
    from support.tiny_qwen_omni import build

    return build(tmp_path_factory.mktemp("checkpoints") / "qwen")


@pytest.fixture(scope="session")
def published(qwen_folder: Path) -> PublishedQwen:
    """The same checkpoint as its authors drive it."""
    if unmet(requires_of(load_class("hf-omni"))):
        pytest.skip("this transformers lays the sound of the published model out otherwise")
    from support.published_qwen import PublishedQwen

    return PublishedQwen(qwen_folder)


@pytest.fixture(scope="session")
def make_qwen(qwen_folder: Path) -> Callable[..., QwenOmni]:
    """Makes the model class on the tiny checkpoint: small frames, short greedy speech, and what a test gives."""
    from support.published_qwen import SMALL

    from avemo_harness.models.qwen_omni import QwenOmni

    def make(setup: ModelSetup | None = None, **arguments: Any) -> QwenOmni:
        given = {
            "pretrained": str(qwen_folder),
            "talker_do_sample": False,
            "talker_max_new_tokens": 60,
            **SMALL,
            **arguments,
        }
        return QwenOmni(QwenOmni.Arguments(**given), setup or ModelSetup())

    return make


@pytest.fixture(scope="session")
def qwen(make_qwen: Callable[..., QwenOmni]) -> QwenOmni:
    """A model that tests share; its answers do not depend on what it was asked before."""
    return make_qwen()


@pytest.fixture(scope="session")
def unshared_qwen(make_qwen: Callable[..., QwenOmni]) -> QwenOmni:
    """The same without shared context: every prompt is read from its beginning."""
    return make_qwen(shared_context=False)
