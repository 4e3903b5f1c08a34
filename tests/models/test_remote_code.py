"""Code that comes with a checkpoint is run from a named commit or a trusted folder, and from nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avemo_harness.errors import ModelError
from avemo_harness.models import weights
from avemo_harness.models.weights import cache_code, repair_torchaudio, resolve_remote, restore_torch_names
from avemo_harness.torch_setup import Weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def _hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub on which every revision stands for one commit."""
    settings = {"config.json": {"auto_map": {"AutoModel": "modeling.Model"}}}
    monkeypatch.setattr(Weights, "settings", lambda weights, name: settings.get(name, {}))
    monkeypatch.setattr(weights, "find_weights", lambda name, revision, say: Weights(name, COMMIT, f"{name}@{COMMIT}"))


@pytest.mark.usefixtures("_hub")
@pytest.mark.parametrize("revision", [None, "main", "v1.0", COMMIT[:12]])
def test_a_revision_that_can_move_is_refused_with_the_commit_it_stands_for(revision: str | None) -> None:
    with pytest.raises(ModelError, match=f"name the commit that you trust: revision={COMMIT}"):
        resolve_remote("minicpm-o", "owner/name", revision)


@pytest.mark.usefixtures("_hub")
def test_a_commit_is_taken_and_recorded() -> None:
    assert resolve_remote("minicpm-o", "owner/name", COMMIT).weights.content == f"owner/name@{COMMIT}"


@pytest.mark.parametrize(("pretrained", "said"), [("", "name a checkpoint"), ("./nowhere", "no such folder")])
def test_a_checkpoint_that_is_not_there_is_refused(pretrained: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        resolve_remote("minicpm-o", pretrained, None)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"it has no config\.json"):
        resolve_remote("minicpm-o", str(tmp_path), None)


def _checkpoint(folder: Path, **config: object) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "code.Model"}, **config}))
    return folder


def test_a_folder_is_refused_until_its_code_is_trusted(tmp_path: Path) -> None:
    folder = _checkpoint(tmp_path / "one")
    with pytest.raises(
        ModelError, match=f"runs code from the folder {folder}; if you trust it, say so: trust_code=true"
    ):
        resolve_remote("minicpm-o", str(folder), None)
    assert resolve_remote("minicpm-o", str(folder), None, trust_code=True).weights.content.startswith("sha256:")


@pytest.mark.usefixtures("_hub")
def test_trust_in_code_does_not_stand_for_a_commit() -> None:
    with pytest.raises(ModelError, match="name the commit that you trust"):
        resolve_remote("minicpm-o", "owner/name", None, trust_code=True)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    checkpoint = resolve_remote(
        "minicpm-o", str(_checkpoint(tmp_path / "one", model_type="omni")), None, trust_code=True
    )
    checkpoint.check_type("baichuan-omni", "omni")
    with pytest.raises(
        ModelError, match=r"not a checkpoint for minicpm-o: the model_type in its config\.json is 'omni'"
    ):
        checkpoint.check_type("minicpm-o", "minicpmo")


def test_what_a_piece_imports_when_it_is_run_by_itself_need_not_be_there(tmp_path: Path) -> None:
    folder = _checkpoint(tmp_path / "one")
    (folder / "code.py").write_text("from .piece import Thing\n\n\nclass Model(Thing):\n    pass\n")
    fallback = "try:\n    from .thing import Thing\nexcept ImportError:\n    from not_there import Thing\n"
    (folder / "piece.py").write_text(fallback)
    (folder / "thing.py").write_text("class Thing:\n    pass\n")
    cache_code(resolve_remote("a", str(folder), None, trust_code=True))


def test_code_that_takes_list_from_torch_finds_it() -> None:
    restore_torch_names()
    names: dict[str, Any] = {}
    exec("from torch.nn.functional import *\nmade: List[int] = [1]", names)
    assert names["made"] == [1]


@pytest.fixture
def _torchaudio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A torchaudio whose compiled part does not load, and that does not read files."""
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "torchaudio"}
    package = tmp_path / "torchaudio"
    package.mkdir()
    (package / "__init__.py").write_text("from . import _extension\nfrom .functional import aligned\n")
    (package / "_extension.py").write_text("raise OSError('Could not load this library')\n")
    uses = "from torchaudio._extension import fail_if_no_align\n\n\n@fail_if_no_align\ndef aligned():\n    return 1\n"
    (package / "functional.py").write_text(uses)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.mark.usefixtures("_torchaudio")
def test_torchaudio_reads_sound_though_its_compiled_part_does_not_load(tmp_path: Path) -> None:
    import soundfile

    samples = np.array([[0.0, 0.5], [-1.0, 0.25], [0.125, -0.5]], dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="PCM_16")
    repair_torchaudio()
    torchaudio: Any = import_module("torchaudio")
    assert torchaudio.list_audio_backends()
    found = torchaudio.info(str(tmp_path / "a.wav"))
    assert (found.sample_rate, found.num_frames, found.num_channels) == (16_000, 3, 2)
    read, rate = torchaudio.load(str(tmp_path / "a.wav"), normalize=True)
    assert rate == 16_000
    np.testing.assert_array_equal(read.numpy(), samples.T)


@pytest.mark.usefixtures("_torchaudio")
def test_torchaudio_is_repaired_once() -> None:
    repair_torchaudio()
    first = import_module("torchaudio")
    repair_torchaudio()
    assert import_module("torchaudio") is first
