"""Weights are known by their content or commit, and what cannot be loaded says why."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from avemo_harness.errors import ModelError
from avemo_harness.models.weights import Placement, resolve


def write_checkpoint(folder: Path, config: object = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config or {"dtype": "bfloat16"}), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_folder_is_known_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    first = write_checkpoint(tmp_path / "a")
    moved = shutil.copytree(first, tmp_path / "b")
    (moved / "README.md").write_text("words that change nothing", encoding="utf-8")
    assert resolve(str(first), None).weights.content == resolve(str(moved), None).weights.content


def test_changed_weights_are_noticed(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "a")
    before = resolve(str(folder), None).weights.content
    (folder / "model.safetensors").write_bytes(b"others!")
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert resolve(str(folder), None).weights.content != before


def test_files_are_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_checkpoint(tmp_path / "a")
    before = resolve(str(folder), None).weights.content
    monkeypatch.setattr("avemo_harness.torch_setup.sha256_of", None)
    assert resolve(str(folder), None).weights.content == before


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        ({"dtype": "bfloat16"}, "bfloat16"),
        ({"torch_dtype": "float16"}, "float16"),
        ({"thinker_config": {"text_config": {"dtype": "torch.bfloat16"}}}, "bfloat16"),
        ({"model_type": "x"}, "float32"),
    ],
)
def test_auto_is_the_dtype_that_was_saved(tmp_path: Path, config: object, dtype: str) -> None:
    checkpoint = resolve(str(write_checkpoint(tmp_path / "a", config)), None)
    assert checkpoint.dtype("auto") == dtype
    assert checkpoint.dtype("float32") == "float32"


@pytest.mark.parametrize(
    ("pretrained", "revision", "words"),
    [
        ("", None, "name a checkpoint"),
        ("/no/such/folder", None, "no such folder"),
        ("./no/such/folder", None, "no such folder"),
        ("{empty}", None, "it has no config.json"),
        ("{folder}", "main", "has no revision"),
        ("{broken}", None, "config.json: damaged"),
        ("no spaces/here please", None, "neither a folder nor a Hub id"),
    ],
)
def test_what_is_no_checkpoint_is_said(tmp_path: Path, pretrained: str, revision: str | None, words: str) -> None:
    (tmp_path / "empty").mkdir()
    write_checkpoint(tmp_path / "folder")
    (write_checkpoint(tmp_path / "broken") / "config.json").write_text("{", encoding="utf-8")
    name = pretrained.format(**{n: tmp_path / n for n in ("empty", "folder", "broken")})
    with pytest.raises(ModelError, match=words):
        resolve(name, revision)


def test_an_unreachable_hub_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"owner/name@v1: the Hub cannot be reached and .* not in the cache"):
        resolve("owner/name", "v1")


def test_a_device_map_and_a_device_exclude_each_other() -> None:
    assert Placement("bfloat16", "sdpa", None, "cuda:1").one_device == "cuda:1"
    with pytest.raises(ModelError, match="exclude each other"):
        Placement("bfloat16", "sdpa", "auto", "cuda:0")


def test_flash_attention_needs_its_package() -> None:
    with pytest.raises(ModelError, match="flash-attn"):
        Placement("bfloat16", "flash_attention_2", None, None)


def test_a_folder_with_code_that_loading_would_run_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "a")
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text("raise SystemExit\n", encoding="utf-8")
    with pytest.raises(
        ModelError, match=r"custom_generate/generate\.py: code that would run while the weights are loaded"
    ):
        resolve(str(folder), None)
