"""A build's configuration is checked whole, with every problem at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.build.pipeline.config import BuildConfig, load_config
from avemo_harness.errors import TaskError

EXAMPLES = Path(__file__).parents[3] / "examples" / "build"


def written(folder: Path, text: str) -> Path:
    file = folder / "build.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_name_is_enough(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "name: mine\n"))
    assert config == BuildConfig(name="mine")
    splits = config.splits
    assert (splits.singleturn_synthetic.dialogues, splits.multiturn_synthetic.dialogues) == (200, 60)
    assert splits.singleturn_synthetic.conflict_pairs + splits.multiturn_synthetic.conflict_pairs == 80


def test_every_problem_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    file = written(
        tmp_path, "name: Mine!\nspeakers: many\nportrait: {folder: x}\nspeech: {voice: '${NO_SUCH_VARIABLE}'}\n"
    )
    with pytest.raises(TaskError) as caught:
        load_config(file)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["1", "2", "3", "4"]
    assert "unknown key; nearest: 'portraits'" in lines[2]
    assert "speech.voice: the environment variable NO_SUCH_VARIABLE is not set" in lines[3]


def test_variables_of_the_environment_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_URL", "http://host/v1")
    config = load_config(written(tmp_path, "speech: {backend: openai_speech, base_url: '${TTS_URL}', model: m}\n"))
    assert config.speech.backend == "openai_speech"
    assert config.speech.arguments == {"base_url": "http://host/v1", "model": "m"}


def test_how_many_workers_there_are_changes_nothing_of_a_release() -> None:
    assert BuildConfig(workers=1).identity == BuildConfig(workers=8).identity
    assert BuildConfig(seed=1).identity != BuildConfig(seed=2).identity


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_examples_are_valid(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VOICES", "PORTRAITS", "DREAMTALK", "EAT", "SADTALKER", "LLM_URL", "LLM_MODEL", "TTS_URL"):
        monkeypatch.setenv(name, "/somewhere")
    assert load_config(file).name


def test_the_built_in_example_tells_the_defaults() -> None:
    assert load_config(EXAMPLES / "builtin.yaml") == BuildConfig()
