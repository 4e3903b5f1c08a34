"""The example configurations of foreign tools name arguments that their backends take."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.data.pipeline.backends import make_backend
from avemo_harness.data.pipeline.build import build_release
from avemo_harness.data.pipeline.config import STAGES, load_config
from avemo_harness.errors import UsageError

EXAMPLES = Path(__file__).parents[3] / "avemo_harness" / "data" / "recipes"


@pytest.fixture(autouse=True)
def _variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that the examples ask for, with folders like those of the tools."""
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


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_backends_take_the_arguments_of_an_example(path: Path) -> None:
    config = load_config(path)
    assert all(make_backend(stage, config.tool(stage)).identity()["tool"] for stage in STAGES)


def test_a_tool_that_follows_the_voice_alone_is_refused_as_its_example_says(tmp_path: Path) -> None:
    path = EXAMPLES / "sadtalker.yaml"
    (said,) = (line for line in path.read_text().splitlines() if "avemo-eval: " in line)
    with pytest.raises(UsageError) as caught:
        build_release(load_config(path), tmp_path / "release", lambda line: None)
    assert str(caught.value).startswith(said.partition("avemo-eval: ")[2].removesuffix("…"))
    assert not (tmp_path / "release").exists()
