"""Baichuan-Omni is refused on wrong arguments and checkpoints before any of its code runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.questions import A, ask
from support.tiny_baichuan import make, vocoder_of, write_code

from avemo_harness.errors import ModelError
from avemo_harness.models import weights
from avemo_harness.models.baichuan_omni import vision_settings
from avemo_harness.models.base import ModelSetup
from avemo_harness.torch_setup import Weights

LABELS = ModelSetup(device="cpu", outputs=frozenset({"label_text"}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint without weights; its vocoder has some."""
    folder = write_code(tmp_path / "tiny")
    (vocoder_of(folder) / "hift.pt").write_bytes(b"weights")
    return folder


def test_replies_need_a_vocoder_and_labels_do_not(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"spoken replies need its vocoder.*or --skip_speech"):
        make(folder, vocoder="")
    assert make(folder, LABELS, vocoder="").identity()["vocoder"] == "none"


def test_a_folder_that_is_no_vocoder_is_refused(folder: Path) -> None:
    (vocoder_of(folder) / "hift.pt").unlink()
    with pytest.raises(ModelError, match=r"it has no hift.pt; give the folder third_party/cosy24k_vocoder"):
        make(folder).identity()


def _settings(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}  # type: ignore[no-any-return]


def test_the_code_of_a_vocoder_is_trusted_apart_from_a_commit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A Hub id with its commit stands in the checkpoint's place, so that only the vocoder is a folder.
    commit = Weights("owner/name", "0" * 40, "owner/name@" + "0" * 40)
    monkeypatch.setattr(weights, "find_weights", lambda name, revision, say: commit)
    monkeypatch.setattr(Weights, "settings", lambda weights, name: _settings(folder / name))
    given = {"pretrained": "owner/name", "revision": "0" * 40}
    with pytest.raises(ModelError, match=rf"runs code from the folder {vocoder_of(folder)}; if you trust it"):
        make(folder, **given, trust_code=False).identity()
    assert make(folder, **given).identity()["vocoder"].startswith("sha256:")


def test_code_of_another_repository_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["auto_map"]["AutoModelForCausalLM"] = "someone/else--modeling_omni.OmniForCausalLM"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="another repository"):
        make(folder).generate([ask(A)])


def test_a_checkpoint_of_another_model_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "minicpmo"}), encoding="utf-8")
    with pytest.raises(ModelError, match="not a checkpoint for baichuan-omni"):
        make(folder).identity()


def test_frames_are_encoded_without_flash_attention_where_that_is_lacking() -> None:
    asked = {"depth": 32, "_attn_implementation": "flash_attention_2"}
    config = {"video_config": asked, "visual_config": {"depth": 32}, "vocab_size": 7}
    assert vision_settings(config) == {"video_config": {"depth": 32, "_attn_implementation": "sdpa"}}
    assert vision_settings({"vocab_size": 7}) == {}


def test_the_code_of_the_model_and_of_the_vocoder_is_in_the_identity(folder: Path) -> None:
    before = make(folder).identity()
    for path, name in ((folder / "modeling_omni.py", "remote_code"), (vocoder_of(folder) / "hift.pt", "vocoder")):
        with open(path, "ab") as file:
            file.write(b"\n# changed\n")
        assert make(folder).identity()[name] != before[name]


@pytest.mark.parametrize(("name", "value"), [("max_pixels", 700), ("max_frames", 0)])
def test_a_wrong_argument_is_refused_at_once(folder: Path, name: str, value: int) -> None:
    with pytest.raises(ModelError, match="max_pixels must be at least 784 and max_frames at least 1"):
        make(folder, **{name: value})
