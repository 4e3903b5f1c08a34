"""The example configurations of foreign tools name arguments that their backends take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from avemo_harness.arguments import typed_arguments
from avemo_harness.build.pipeline.command_face import CommandFace
from avemo_harness.build.pipeline.cosyvoice import CosyVoice
from avemo_harness.build.pipeline.openai_speech import OpenAISpeech
from avemo_harness.build.pipeline.openai_writer import OpenAIWriter

EXAMPLES = Path(__file__).parents[3] / "examples" / "build"
BACKENDS: Mapping[tuple[str, str], Any] = {
    ("dialogue", "openai"): OpenAIWriter,
    ("speech", "openai_speech"): OpenAISpeech,
    ("speech", "cosyvoice"): CosyVoice,
    ("face", "command"): CommandFace,
}


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The variables that the examples ask for, with folders like those of the tools."""
    monkeypatch.setenv("LLM_API_KEY", "sk-123")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "python").touch(mode=0o755)
    for emotion, level in {"neutral": 1, "happy": 3, "angry": 3, "sad": 3}.items():
        clip = tmp_path / "data" / "style_clip" / "3DMM" / f"M030_front_{emotion}_level{level}_001.mat"
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.touch()
    folders = dict.fromkeys(["VOICES", "PORTRAITS", "DREAMTALK", "EAT", "SADTALKER"], str(tmp_path))
    server = "http://127.0.0.1:8000/v1"
    return {"LLM_URL": server, "TTS_URL": server, "LLM_MODEL": "some-model", **folders}


@pytest.mark.parametrize(
    "path", sorted(set(EXAMPLES.glob("*.yaml")) - {EXAMPLES / "builtin.yaml"}), ids=lambda path: path.stem
)
def test_backends_take_the_arguments_of_an_example(path: Path, variables: Mapping[str, str]) -> None:
    made = []
    for stage, section in yaml.safe_load(path.read_text()).items():
        if not isinstance(section, dict) or section.get("backend", "builtin") == "builtin":
            continue
        text = yaml.safe_dump({key: value for key, value in section.items() if key != "backend"})
        backend = BACKENDS[stage, section["backend"]]
        given = yaml.safe_load(Template(text).substitute(variables))
        made.append(backend(typed_arguments(stage, backend.Arguments, given)).identity())
    assert all(one["tool"] for one in made)
    assert made
