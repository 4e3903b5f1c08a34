"""Neural models share one form of identity, whose keys, order and values are stored with every run."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from support import tiny_baichuan, tiny_minicpm

from avemo_harness.models.base import ModelSetup
from avemo_harness.models.hf_omni import HfOmni
from avemo_harness.models.qwen_omni import QwenOmni
from avemo_harness.models.qwen_prompt import SYSTEM
from avemo_harness.torch_setup import find_weights

VERSIONS = [(package, version(package)) for package in ("transformers", "torch", "av")]


def write_checkpoint(folder: Path, **config: object) -> tuple[str, str]:
    """A folder that is a checkpoint by its config alone, and what its weights are known by."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(folder), find_weights(str(folder), None).content


def test_identity_of_qwen_omni(tmp_path: Path) -> None:
    folder, content = write_checkpoint(tmp_path / "qwen", thinker_config={"dtype": "bfloat16"})
    assert list(QwenOmni(QwenOmni.Arguments(folder), ModelSetup()).identity().items()) == [
        ("model", "qwen2.5-omni"),
        ("version", "1"),
        ("weights", content),
        ("dtype", "bfloat16"),
        ("system", SYSTEM),
        ("attn", "sdpa"),
        ("device_map", "None"),
        ("fps", "2.0"),
        ("min_pixels", "100352"),
        ("max_pixels", "602112"),
        ("shared_context", "True"),
        ("speaker", "Chelsie"),
        ("talker_do_sample", "True"),
        ("talker_max_new_tokens", "4096"),
        *VERSIONS,
    ]


def test_identity_of_hf_omni(tmp_path: Path) -> None:
    folder, content = write_checkpoint(tmp_path / "hf", architectures=["Any", "Other"], torch_dtype="float16")
    assert list(HfOmni(HfOmni.Arguments(folder), ModelSetup()).identity().items()) == [
        ("model", "hf-omni"),
        ("version", "1"),
        ("class", "Any Other"),
        ("weights", content),
        ("dtype", "float16"),
        ("attn", "sdpa"),
        ("device_map", "None"),
        ("fps", "2.0"),
        ("system", ""),
        ("speaker", "None"),
        ("talker_do_sample", "True"),
        ("talker_max_new_tokens", "4096"),
        *VERSIONS,
    ]
    unnamed, _ = write_checkpoint(tmp_path / "unnamed", model_type="any_omni")
    assert HfOmni(HfOmni.Arguments(unnamed), ModelSetup()).identity()["class"] == "any_omni"


def test_identity_of_minicpm_o(tmp_path: Path) -> None:
    folder = tiny_minicpm.write_code(tmp_path / "tiny")
    content = find_weights(str(folder), None).content
    # What speaks is installed in the model's own environment alone.
    assert list(tiny_minicpm.make(folder).identity().items()) == [
        ("model", "minicpm-o"),
        ("version", "1"),
        ("weights", content),
        ("remote_code", content),
        ("dtype", "float32"),
        ("voice", "assets/input_examples/assistant_female_voice.wav"),
        ("attn", "sdpa"),
        ("device_map", "None"),
        ("language", "en"),
        *VERSIONS,
        ("vocos", "not installed"),
        ("vector-quantize-pytorch", "not installed"),
    ]


def test_identity_of_baichuan_omni(tmp_path: Path) -> None:
    folder = tiny_baichuan.write_code(tmp_path / "tiny")
    vocoder = tiny_baichuan.vocoder_of(folder)
    (vocoder / "hift.pt").write_bytes(b"weights")
    content = find_weights(str(folder), None).content
    assert list(tiny_baichuan.make(folder).identity().items()) == [
        ("model", "baichuan-omni"),
        ("version", "1"),
        ("weights", content),
        ("remote_code", content),
        ("dtype", "float32"),
        ("vocoder", find_weights(str(vocoder), None).content),
        ("device_map", "None"),
        ("max_pixels", "12544"),
        ("max_frames", "32"),
        ("system", "You are a helpful assistant."),
        ("spoken_system", "请用【邻家女声】这个声音回答问题。"),
        ("codes_do_sample", "True"),
        *VERSIONS,
    ]
