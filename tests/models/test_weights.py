"""Weights are known by content or commit; code is run from a named commit or a trusted folder, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.hub_server import HubServer, Repository, serve

from avemo_harness.errors import ModelError
from avemo_harness.models import weights
from avemo_harness.models.weights import (
    Placement,
    cache_code,
    repair_torchaudio,
    resolve,
    resolve_remote,
    restore_torch_names,
)
from avemo_harness.torch_setup import Weights


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


NAME = "maker/tiny-omni"
READER = """
import json, sys
from avemo_harness.errors import ModelError
from avemo_harness.models.weights import resolve
answers = []
for pretrained, revision in json.loads(sys.argv[1]):
    try:
        found = resolve(pretrained, revision)
        content, commit = found.weights.content, found.weights.revision
        answers.append({"weights": content, "revision": commit, "dtype": found.dtype("auto")})
    except ModelError as error:
        answers.append({"refused": str(error)})
print(json.dumps(answers))
"""
ASKER = """
import sys
from avemo_harness.models import load_model
from avemo_harness.models.base import ModelSetup
sys.path.insert(0, sys.argv[3])
from support.questions import ask, clip
model = load_model("qwen2.5-omni", {"pretrained": sys.argv[1], "min_pixels": 3136, "max_pixels": 12544}, ModelSetup())
print(model.identity()["weights"])
for one in ("label", "reply"):
    answer = model.generate([ask(clip(1.0), output=one)])[0]
    assert answer.error is None, answer.error
"""


@pytest.fixture
def hub(qwen_folder: Path) -> Iterator[HubServer]:
    with serve(Repository.of_folder(NAME, qwen_folder, ("main", "v1"))) as running:
        yield running


def run(program: str, hub: HubServer, home: Path, *words: str, **settings: str) -> str:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", **settings}
    done = subprocess.run(
        [sys.executable, "-c", program, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def resolved(hub: HubServer, home: Path, *wanted: tuple[str, str | None], **settings: str) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = json.loads(run(READER, hub, home, json.dumps(wanted), **settings))
    return answers


@pytest.mark.slow
def test_a_checkpoint_is_known_by_its_commit_also_without_the_hub(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.repositories[NAME].commit
    expected = {"weights": f"{NAME}@{commit}", "revision": commit, "dtype": "float32"}
    wanted = [(NAME, None), (NAME, "v1"), (NAME, commit)]
    assert resolved(hub, tmp_path, *wanted) == [expected] * 3
    hub.log.clear()
    assert resolved(hub, tmp_path, *wanted, HF_HUB_OFFLINE="1") == [expected] * 3
    assert hub.log == []
    hub.fault = "cut every answer"
    assert resolved(hub, tmp_path, (NAME, "v1")) == [expected]


@pytest.mark.slow
def test_what_the_hub_refuses_is_said(hub: HubServer, tmp_path: Path) -> None:
    answers = resolved(hub, tmp_path, ("maker/nothing", None), (NAME, "v9"))
    assert all("the Hub refuses it" in answer["refused"] for answer in answers)
    assert "maker/nothing" in answers[0]["refused"]
    assert f"{NAME}@v9" in answers[1]["refused"]
    repositories = hub.repositories
    assert isinstance(repositories, dict)
    repositories[NAME] = replace(repositories[NAME], refusal=403)
    assert "the Hub refuses it" in resolved(hub, tmp_path, (NAME, None))[0]["refused"]


@pytest.mark.slow
def test_a_model_of_the_hub_answers_and_speaks(hub: HubServer, tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    said = run(ASKER, hub, tmp_path, NAME, "", tests)
    assert said.strip() == f"{NAME}@{hub.repositories[NAME].commit}"
