"""Weights are known by their content, wherever they lie."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.tiny_extractors import speech_encoder

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.torch_setup import find_weights, import_transformers, load_model


def identity(folder: Path) -> dict[str, str]:
    return dict(make_extractor(f"wavlm:pretrained={folder}").identity())


def test_the_identity_changes_with_the_weights_and_not_with_their_place(tmp_path: Path) -> None:
    first = speech_encoder(tmp_path / "first", "WavLM", seed=1)
    other = speech_encoder(tmp_path / "other", "WavLM", seed=2)
    copy = shutil.copytree(first, tmp_path / "copy")
    assert identity(first) == identity(copy)
    assert identity(first) != identity(other)


def test_the_identity_changes_with_the_settings(tmp_path: Path) -> None:
    folder = speech_encoder(tmp_path, "WavLM")
    specs = ("", ",layer=1", ",layer=mean", ",dtype=bfloat16")
    identities = [dict(make_extractor(f"wavlm:pretrained={folder}{spec}").identity()) for spec in specs]
    assert all(one != other for at, one in enumerate(identities) for other in identities[:at])


def test_weights_that_are_replaced_are_noticed(tmp_path: Path) -> None:
    folder = speech_encoder(tmp_path, "WavLM", seed=1)
    before = identity(folder)
    speech_encoder(tmp_path, "WavLM", seed=2)
    assert identity(folder) != before


def test_documentation_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = find_weights(str(tmp_path), None)
    (tmp_path / "README.md").write_text("what it is")
    assert find_weights(str(tmp_path), None) == before


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        find_weights(str(tmp_path / "nowhere"), None)


def test_a_folder_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no revision"):
        find_weights(str(tmp_path), "main")


def test_a_hub_id_that_cannot_be_reached_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match=r"download it first, or give a folder: pretrained=FOLDER"):
        find_weights("nobody/nothing", None)


def test_damaged_settings_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UsageError, match="damaged"):
        find_weights(str(tmp_path), None).settings("config.json")


def test_code_of_a_folder_is_neither_run_nor_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "with code"
    folder.mkdir()
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n", encoding="utf-8")
    questions: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question="": questions.append(question) or "y")
    weights = find_weights(str(folder), None)
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_model(import_transformers().AutoModel, weights, "float32", "cpu")
    assert questions == []
    assert not (tmp_path / "ran").exists()
