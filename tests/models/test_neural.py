"""Identity of neural models, whose keys, order and values are stored, and batches that shrink where memory runs out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from support import tiny_baichuan, tiny_minicpm
from support.questions import ask_in_words

from avemo_harness.benchmark.request import Response, Text
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.hf_omni import HfOmni
from avemo_harness.models.neural import Batcher, PreparedRequest
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


BOTH, SEEN = (True, True), (True, False)


def prepared(name: str, streams: tuple[bool, bool], length: int = 100) -> PreparedRequest[Any]:
    """A request, asked by its name, whose inputs are never needed."""
    return PreparedRequest(ask_in_words(name), streams, (), length, lambda: None)


def name_of(one: PreparedRequest[Any]) -> str:
    (block,) = one.request.messages[-1].content
    assert isinstance(block, Text)
    return block.text


class Noting:
    """Answers by name, notes its batches, and runs out of memory above a size."""

    def __init__(self, room: int = 1000) -> None:
        self.room, self.batches = room, list[list[str]]()

    def __call__(self, batch: Sequence[PreparedRequest[Any]]) -> Sequence[Response]:
        import torch

        self.batches.append([name_of(one) for one in batch])
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [Response(text=name_of(one)) for one in batch]


def test_responses_come_in_the_order_of_the_requests() -> None:
    asked = [
        prepared("a", BOTH),
        prepared("b", SEEN, 300),
        prepared("c", BOTH),
        prepared("d", SEEN, 100),
        prepared("e", BOTH, 900),
    ]
    noting = Noting()
    assert [one.text for one in Batcher().answer(asked, noting)] == ["a", "b", "c", "d", "e"]
    assert noting.batches == [["e"], ["a", "c"], ["b"], ["d"]]


def test_lengths_of_a_batch_are_within_a_factor_of_two() -> None:
    asked = [prepared(str(n), BOTH, n) for n in (255, 256, 257, 511, 513, 1030)]
    noting = Noting()
    Batcher().answer(asked, noting)
    assert noting.batches == [["1030"], ["513", "511", "257"], ["256", "255"]]


def test_a_batch_that_does_not_fit_is_halved_and_the_size_is_remembered() -> None:
    noting, freed = Noting(room=3), list[str]()
    batcher = Batcher(free=lambda: freed.append("freed"))
    asked = [prepared(str(i), BOTH) for i in range(8)]
    assert [one.text for one in batcher.answer(asked, noting)] == [str(i) for i in range(8)]
    assert [len(batch) for batch in noting.batches] == [8, 4, 2, 2, 2, 2]
    assert len(freed) == 2
    noting.batches.clear()
    batcher.answer(asked, noting)
    assert [len(batch) for batch in noting.batches] == [2, 2, 2, 2]
    noting.batches.clear()
    batcher.answer([prepared(str(i), SEEN) for i in range(3)], noting)
    assert [len(batch) for batch in noting.batches] == [3], "another bucket has a size of its own"


def test_a_request_that_does_not_fit_alone_is_an_error_of_its_own() -> None:
    class Greedy(Noting):
        def __call__(self, batch: Sequence[PreparedRequest[Any]]) -> Sequence[Response]:
            self.room = 0 if any(name_of(one) == "huge" for one in batch) else 1000
            return super().__call__(batch)

    answers = Batcher().answer([prepared("a", BOTH), prepared("huge", BOTH), prepared("b", BOTH)], Greedy())
    assert [one.text for one in answers] == ["a", None, "b"]
    assert "does not fit" in (answers[1].error or "")


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(batch: Sequence[PreparedRequest[Any]]) -> Sequence[Response]:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        Batcher().answer([prepared("a", BOTH), prepared("b", BOTH)], broken)
