"""Recipes are valid, and name arguments that their backends take."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.data.pipeline.backends import make_backend
from avemo_harness.data.pipeline.build import build_release
from avemo_harness.data.pipeline.config import RECIPES, STAGES, open_recipe, recipe_summaries
from avemo_harness.errors import UsageError


@pytest.fixture(autouse=True)
def _variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that recipes ask for, with folders like those of the tools."""
    monkeypatch.setenv("LLM_API_KEY", "sk-123")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "python").touch(mode=0o755)
    for emotion, level in {"neutral": 1, "happy": 3, "angry": 3, "sad": 3}.items():
        clip = tmp_path / "data" / "style_clip" / "3DMM" / f"M030_front_{emotion}_level{level}_001.mat"
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.touch()
    for gender in ("female", "male"):
        (tmp_path / f"{gender}.wav").touch()
    folders = dict.fromkeys(["VOICES", "PORTRAITS", "DREAMTALK", "EAT", "SADTALKER"], str(tmp_path))
    server = "http://127.0.0.1:8000/v1"
    for name, value in {"LLM_URL": server, "TTS_URL": server, "LLM_MODEL": "some-model", **folders}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", recipe_summaries())
def test_backends_take_the_arguments_of_a_recipe(name: str) -> None:
    config = open_recipe(name)
    assert all(make_backend(stage, config.tool(stage)).identity()["tool"] for stage in STAGES)


def test_a_tool_that_follows_the_voice_alone_is_refused_as_its_recipe_says(tmp_path: Path) -> None:
    lines = (RECIPES / "sadtalker.yaml").read_text().splitlines()
    (said,) = (line for line in lines if "avemo-eval: " in line)
    with pytest.raises(UsageError) as caught:
        build_release(open_recipe("sadtalker"), tmp_path / "release", lambda line: None)
    assert str(caught.value).startswith(said.partition("avemo-eval: ")[2].removesuffix("…"))
    assert not (tmp_path / "release").exists()
