"""An environment is made once, continued where it was interrupted, and made anew where its recipe changed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.wheels import write_wheel

from avemo_harness.errors import ModelError, UsageError
from avemo_harness.models.environments.creation import create
from avemo_harness.models.environments.places import Environment
from avemo_harness.models.environments.recipes import Recipe

BARE = Recipe("bare", modules=("json",))
SMALL = Recipe("small", builds=("tinytorch==2.0",), packages=("tinylib==1.0",), modules=("tinylib",))


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip finds packages in, and nowhere else; environments are made in a cache of the test's own."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def said() -> list[str]:
    return []


def test_an_environment_is_made_and_knows_what_is_in_it(index: Path, said: list[str]) -> None:
    write_wheel(index, "tinytorch", "2.0")
    write_wheel(index, "tinylib", "1.0", "import tinydep", needs=["tinydep"])
    write_wheel(index, "tinydep", "0.1")
    environment = Environment(SMALL)
    assert environment.state() == "missing"
    create(environment, said.append)
    assert environment.state() == "ready"
    finished = environment.finished()
    assert finished is not None
    assert finished.packages == {"tinylib": "1.0", "tinytorch": "2.0"}
    code = "import sys, tinydep; print(sys.prefix)"
    told = subprocess.run([str(environment.python), "-c", code], capture_output=True, text=True, check=True).stdout
    assert Path(told.strip()) == environment.folder / "venv"
    assert environment.size_bytes() > 10**6
    assert [line[:5] for line in said if line.startswith("[")] == ["[1/5]", "[2/5]", "[3/5]", "[4/5]", "[5/5]"]


def test_one_that_is_ready_is_left_as_it_is(said: list[str]) -> None:
    environment = Environment(BARE)
    create(environment)
    made = environment.marker.stat().st_mtime_ns
    create(environment, said.append)
    assert said == [f"bare is ready in {environment.folder}"]
    assert environment.marker.stat().st_mtime_ns == made


def test_a_package_that_cannot_be_installed_is_one_sentence_and_the_next_attempt_goes_on(
    index: Path, said: list[str]
) -> None:
    write_wheel(index, "tinytorch", "2.0")
    environment = Environment(SMALL)
    with pytest.raises(UsageError) as caught:
        create(environment)
    assert str(caught.value).startswith("small: installing 1 packages and what they need failed: ")
    assert "No matching distribution found for tinylib==1.0" in str(caught.value)
    assert "`avemo-eval env create small` tries again from there" in str(caught.value)
    assert environment.state() == "unfinished"
    write_wheel(index, "tinylib", "1.0")
    create(environment, said.append)
    assert environment.state() == "ready"
    assert said[0] == "small: continuing where an earlier attempt stopped"
    assert [line[:5] for line in said if line.startswith("[")] == ["[4/5]", "[5/5]"]


def test_a_package_whose_installation_was_cut_off_is_installed_again(index: Path) -> None:
    write_wheel(index, "tinytorch", "2.0")
    environment = Environment(SMALL)
    with pytest.raises(UsageError):
        create(environment)
    write_wheel(index, "tinylib", "1.0", "whole = True")
    (site,) = environment.folder.glob("venv/lib/python*/site-packages")
    half = site / "tinylib-1.0.dist-info"
    half.mkdir()
    (half / "METADATA").write_text("Metadata-Version: 2.1\nName: tinylib\nVersion: 1.0\n")
    create(environment)
    assert (site / "tinylib.py").read_text() == "whole = True"


MAKE = """
import sys
from avemo_harness.models.environments.creation import create
from avemo_harness.models.environments.places import Environment
from avemo_harness.models.environments.recipes import Recipe
create(Environment(Recipe("bare", packages=("tinylib==1.0",))), lambda line: print(line, flush=True))
"""


def test_a_killed_attempt_is_continued(index: Path, said: list[str]) -> None:
    write_wheel(index, "tinylib", "1.0")
    with subprocess.Popen([sys.executable, "-c", MAKE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("[2/4]"):
                process.kill()
                break
    environment = Environment(replace(BARE, packages=("tinylib==1.0",), modules=()))
    assert environment.state() == "unfinished"
    create(environment, said.append)
    assert environment.state() == "ready"
    # A program that was being started when its parent was killed has the parent's lock for a moment.
    told = [line for line in said if line != "another process is making bare: waiting for it"]
    assert told[:2] == ["bare: continuing where an earlier attempt stopped", "[2/4] putting pip into it"]


def test_another_recipe_makes_an_environment_stale_and_it_is_made_anew(said: list[str]) -> None:
    create(Environment(BARE))
    changed = Environment(replace(BARE, modules=("csv",)))
    assert changed.state() == "stale"
    with pytest.raises(ModelError, match="was made for other packages: `avemo-eval env create bare` makes it once"):
        changed.check_ready()
    create(changed, said.append)
    assert changed.state() == "ready"
    assert said[0] == "bare: what is there was made for other packages, or hardly begun: making it anew"


def test_packages_that_do_not_work_are_noticed_when_they_are_made(index: Path) -> None:
    write_wheel(index, "tinytorch", "2.0")
    write_wheel(index, "tinylib", "1.0", "import no_such_library")
    with pytest.raises(UsageError, match=r"small: its packages are installed and do not work: .*no_such_library"):
        create(Environment(SMALL))


def test_removing_leaves_nothing() -> None:
    environment = Environment(BARE)
    assert not environment.remove()
    create(environment)
    assert environment.remove()
    assert environment.state() == "missing"


@pytest.mark.parametrize("state", ["missing", "unfinished"])
def test_a_model_without_its_environment_is_told_the_one_command(state: str) -> None:
    environment = Environment(BARE)
    if state == "unfinished":
        environment.folder.mkdir(parents=True)
    with pytest.raises(ModelError) as caught:
        environment.check_ready()
    assert "`avemo-eval env create bare` makes it once" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def interpreter(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a file that is run in place of Python."""

    def make(script: str) -> Path:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 3 14", r"run on Python 3\.10 to 3\.12, and .* is 3\.14; name another interpreter with --python"),
        ("exit 1", "not a Python interpreter"),
    ],
)
def test_an_interpreter_that_the_packages_do_not_run_on_is_refused(
    interpreter: Callable[[str], Path], script: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        create(Environment(BARE), base=interpreter(script))
