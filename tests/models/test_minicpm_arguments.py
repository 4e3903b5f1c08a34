"""MiniCPM-o is refused on wrong arguments and checkpoints before any of its code runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.questions import A, ask
from support.tiny_minicpm import make, write_code

from avemo_harness.errors import ModelError
from avemo_harness.models.base import ModelSetup


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint without weights."""
    return write_code(tmp_path / "tiny")


def change(folder: Path, name: str, **content: object) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **content}), encoding="utf-8")


def test_code_of_another_repository_is_refused(folder: Path) -> None:
    change(folder, "preprocessor_config.json", auto_map={"AutoProcessor": "someone/else--code.Processor"})
    with pytest.raises(ModelError, match=r"another repository \(someone/else--code.Processor\)"):
        make(folder).identity()


def test_a_checkpoint_of_another_model_is_refused(folder: Path) -> None:
    change(folder, "config.json", model_type="omni")
    with pytest.raises(ModelError, match="not a checkpoint for minicpm-o"):
        make(folder).identity()


def test_a_checkpoint_without_code_is_refused(folder: Path) -> None:
    change(folder, "config.json", auto_map=None)
    with pytest.raises(ModelError, match="names no code"):
        make(folder).generate([ask(A)])


def test_the_code_is_part_of_the_identity(folder: Path) -> None:
    before = make(folder).identity()
    with open(folder / "modeling_minicpmo.py", "a", encoding="utf-8") as code:
        code.write("\n# changed\n")
    assert make(folder).identity()["remote_code"] != before["remote_code"]


def test_a_voice_of_ones_own_is_known_by_its_content(folder: Path, tmp_path: Path) -> None:
    voices = [tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "c.wav"]
    for path, content in zip(voices, (b"one", b"one", b"two"), strict=True):
        path.write_bytes(content)
    known = [make(folder, voice=str(path)).identity()["voice"] for path in voices]
    assert known[0] == known[1] != known[2]
    with pytest.raises(ModelError, match=r"the voice of replies cannot be read: .*none\.wav; give voice=SOUND_FILE"):
        make(folder, voice=str(tmp_path / "none.wav")).identity()


@pytest.mark.parametrize(("name", "value", "said"), [("language", "fr", "en or zh"), ("voice", "", "one voice")])
def test_a_wrong_argument_is_refused_at_once(folder: Path, name: str, value: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        make(folder, **{name: value})


def test_a_device_and_a_map_of_devices_exclude_each_other(folder: Path) -> None:
    with pytest.raises(ModelError, match="exclude each other"):
        make(folder, ModelSetup(device="cpu"), device_map="auto").generate([ask(A)])
