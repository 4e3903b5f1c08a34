"""A model that does not run on the installed versions is refused in one sentence, before anything is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from support.packages import write_package

from avemo_harness.cli import main
from avemo_harness.errors import ModelError
from avemo_harness.models import MODELS, Unmet, check_requires, is_requires, load_class, load_model, requires_of, unmet
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.environments.recipes import RECIPES, find_recipe
from avemo_harness.models.worker.hosted import HostedModel

HEAVY = ("torch", "transformers", "av", "datasets", "pandas")
PLUGIN = """
from avemo_harness.models.controls import ConstantAnswer

class Mine(ConstantAnswer):
    requires = {requires}

    def __init__(self, arguments, setup):
        raise AssertionError("it was made")
"""


def install_mine(site: Path, requires: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"mine_{site.parent.name}"
    write_package(
        site,
        "some-package",
        {"avemo_harness.models": {"mine": f"{module}:Mine"}},
        {f"{module}.py": PLUGIN.replace("{requires}", requires)},
    )
    monkeypatch.syspath_prepend(site)


@pytest.mark.parametrize(
    ("found", "wanted", "met"),
    [
        ("5.18.0", ">=5.18,<5.25", True),
        ("5.24.9", ">=5.18,<5.25", True),
        ("5.9.0", ">=5.18,<5.25", False),
        ("5.25.0", ">=5.18,<5.25", False),
        ("5.22.0.dev0", ">=5.18,<5.25", True),
        ("5.18.0rc1", ">=5.18,<5.25", False),
        ("4.45.0", "==4.45.0", True),
    ],
)
def test_versions_are_compared_as_pip_does(
    found: str, wanted: str, met: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_package(tmp_path, "some-package", {}, version=found)
    monkeypatch.syspath_prepend(tmp_path)
    assert unmet({"some-package": wanted}) == ([] if met else [Unmet("some-package", wanted, found)])


def test_the_refusal_names_every_package_and_the_command_that_helps() -> None:
    numpy = version("numpy")
    with pytest.raises(ModelError) as refusal:
        check_requires("mine", {"numpy": ">=99", "no-such-package": ">=2,<3", "torch": ">=1"})
    assert str(refusal.value) == (
        f"mine runs on numpy >=99, and {numpy} is installed; no-such-package >=2,<3, which is not installed: "
        "pip install 'numpy>=99' 'no-such-package>=2,<3'"
    )


@pytest.mark.parametrize("model", ["qwen2.5-omni", "hf-omni"])
def test_older_transformers_end_in_one_sentence_before_anything_is_loaded_or_built(model: str, tmp_path: Path) -> None:
    write_package(tmp_path / "site", "transformers", {}, version="5.13.1")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path / "site")!r})
from avemo_harness.cli import main
status = main(["--model", {model!r}, "--tasks", "demo"])
print(status, [name for name in {HEAVY!r} if name in sys.modules])
"""
    cache = tmp_path / "cache"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "AVEMO_CACHE": str(cache)},
    )
    wanted = requires_of(load_class(model))["transformers"]
    assert done.stdout.split(maxsplit=1) == ["2", "[]\n"]
    assert done.stderr == (
        f"avemo-eval: {model} runs on transformers {wanted}, and 5.13.1 is installed: "
        f"pip install 'transformers{wanted}'\n"
    )
    assert not cache.exists()


def test_a_python_that_is_too_old_needs_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.python_version", lambda: "3.10.13")
    with pytest.raises(ModelError) as refusal:
        check_requires("mine", {"python": ">=3.11", "no-such-package": ">=2"})
    assert str(refusal.value) == (
        "mine runs on python >=3.11, and 3.10.13 is installed; no-such-package >=2, which is not installed: "
        "install avemo-harness with such a Python"
    )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="hf-omni needs a newer Python")
def test_models_run_on_what_the_package_installs() -> None:
    for name in MODELS:
        assert unmet(requires_of(load_class(name))) == []


@pytest.mark.parametrize("name", RECIPES)
def test_a_private_environment_has_what_its_model_requires(name: str) -> None:
    hosted = load_class(name)
    assert issubclass(hosted, HostedModel)
    module, attribute = hosted.class_path.split(":")
    requires = requires_of(getattr(sys.modules[module], attribute))
    assert set(requires) == {"transformers"}
    assert f"transformers{requires['transformers']}" in find_recipe(name).packages


def test_a_package_s_model_is_refused_likewise(
    text_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_mine(tmp_path / "site", "{'numpy': '>=99'}", monkeypatch)
    said = f"mine runs on numpy >=99, and {version('numpy')} is installed: pip install 'numpy>=99'"
    with pytest.raises(ModelError, match=said):
        load_model("mine", {}, ModelSetup())
    run = tmp_path / "run"
    assert main(["--model", "mine", "--tasks", text_task, "--output_path", str(run)]) == 2
    assert capsys.readouterr().err == f"avemo-eval: {said}\n"
    assert not run.exists()


@pytest.mark.parametrize("requires", ["['numpy']", "{'numpy': 2}", "{'numpy': 'two'}"])
def test_what_is_no_requirement_is_the_package_s_error(
    requires: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_mine(tmp_path / "site", requires, monkeypatch)
    with pytest.raises(ModelError, match=r"model 'mine' of the installed package some-package 1\.0 .*its requires"):
        load_class("mine")


def test_a_range_is_what_pip_takes() -> None:
    assert is_requires({"transformers": ">=5.18,<5.25"})
    assert not is_requires(">=5.21")
