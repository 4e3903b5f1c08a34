"""Models with an environment of their own are like any other until they are asked, and say then what is missing."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from support.releases import write_text_release, write_text_task

from avemo_harness.cli import main
from avemo_harness.errors import ModelError
from avemo_harness.models import REGISTRY, load_model
from avemo_harness.models.base import ModelSetup, Prefetching
from avemo_harness.models.environments.recipes import RECIPES, Environment, find_recipe
from avemo_harness.models.worker.hosted import STAND_INS

NAMES = ("minicpm-o", "baichuan-omni")


@pytest.fixture(autouse=True)
def _no_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path / "cache"))


def test_every_environment_has_a_model_of_its_name() -> None:
    assert set(RECIPES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_hosted_model_takes_and_gives_what_its_class_does(name: str) -> None:
    hosted = REGISTRY.load(name)
    module, attribute = hosted.class_path.split(":")
    model_class = getattr(import_module(module), attribute)
    assert hosted.environment == name
    assert hosted.Arguments is model_class.Arguments
    assert hosted.capabilities is model_class.capabilities
    assert isinstance(load_model(name, {}, ModelSetup()), Prefetching)


@pytest.mark.parametrize("name", NAMES)
def test_every_stand_in_of_a_recipe_is_there(name: str) -> None:
    for stand_in in find_recipe(name).stand_ins:
        assert (STAND_INS / stand_in / "__init__.py").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_environment_is_one_sentence_with_the_one_command(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_text_release(tmp_path / "release", dialogues=2, turns=1)
    task = write_text_task(tmp_path / "text.yaml", data)
    assert main(["--model", name, "--tasks", str(task), "--output_path", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{name} needs an environment of its own: `avemo-eval env create {name}` makes it once" in line
    assert not (tmp_path / "run").exists()


def test_an_environment_of_another_recipe_is_not_used() -> None:
    environment = Environment(find_recipe("minicpm-o"))
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to("/bin/true")
    environment.finish({}, "3.11")
    changed = environment.marker.read_text(encoding="utf-8").replace(environment.recipe.digest, "0" * 16)
    environment.marker.write_text(changed, encoding="utf-8")
    with pytest.raises(ModelError, match="was made for other packages"):
        load_model("minicpm-o", {}, ModelSetup()).identity()
