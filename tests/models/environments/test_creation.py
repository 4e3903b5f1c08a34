"""An environment is made once, continued where it was interrupted, and made anew where its recipe changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.wheels import lock_wheel, write_wheel

from avemo_harness.errors import ModelError, UsageError
from avemo_harness.models.environments import creation
from avemo_harness.models.environments.creation import create
from avemo_harness.models.environments.recipes import Environment, Recipe

BARE = Recipe("bare", modules=("json",))
SMALL = Recipe("small", builds=("tinytorch==2.0",), packages=("tinylib==1.0",), modules=("tinylib",))


def locked(recipe: Recipe, *lines: str) -> Environment:
    """The environment of a recipe with these lines in its lock."""
    return Environment(replace(recipe, lock=lines))


@pytest.fixture
def tinylib(tmp_path: Path) -> str:
    """The line of a lock for a wheel that no index has."""
    return lock_wheel(tmp_path / "elsewhere", "tinylib", "1.0")


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
    lines = [lock_wheel(index, "tinylib", "1.0", "import tinydep"), lock_wheel(index, "tinydep", "0.1")]
    environment = locked(SMALL, *lines)
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
    index: Path, tinylib: str, said: list[str]
) -> None:
    write_wheel(index, "tinytorch", "2.0")
    environment = locked(SMALL, tinylib)
    with pytest.raises(UsageError) as caught:
        create(environment)
    assert str(caught.value).startswith("small: installing 1 packages by their hashes failed: ")
    assert "No matching distribution found for tinylib==1.0" in str(caught.value)
    assert "`avemo-eval env create small` tries again from there" in str(caught.value)
    assert environment.state() == "unfinished"
    write_wheel(index, "tinylib", "1.0")
    create(environment, said.append)
    assert environment.state() == "ready"
    assert said[0] == "small: continuing where an earlier attempt stopped"
    assert [line[:5] for line in said if line.startswith("[")] == ["[4/5]", "[5/5]"]


def test_a_package_whose_installation_was_cut_off_is_installed_again(index: Path, tmp_path: Path) -> None:
    write_wheel(index, "tinytorch", "2.0")
    environment = locked(SMALL, lock_wheel(tmp_path / "elsewhere", "tinylib", "1.0", "whole = True"))
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
from avemo_harness.models.environments.recipes import Environment
from avemo_harness.models.environments.recipes import Recipe
recipe = Recipe("bare", packages=("tinylib==1.0",), lock=(sys.argv[1],))
create(Environment(recipe), lambda line: print(line, flush=True))
"""


def test_a_killed_attempt_is_continued(index: Path, said: list[str]) -> None:
    line_of_lock = lock_wheel(index, "tinylib", "1.0")
    with subprocess.Popen([sys.executable, "-c", MAKE, line_of_lock], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("[2/4]"):
                process.kill()
                break
    environment = locked(replace(BARE, packages=("tinylib==1.0",), modules=()), line_of_lock)
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
    line = lock_wheel(index, "tinylib", "1.0", "import no_such_library")
    with pytest.raises(UsageError, match=r"small: its packages are installed and do not work: .*no_such_library"):
        create(locked(SMALL, line))


def test_a_package_of_the_same_name_and_version_that_is_not_the_locked_file_is_refused(
    index: Path, tinylib: str
) -> None:
    write_wheel(index, "tinytorch", "2.0")
    write_wheel(index, "tinylib", "1.0", "shadow = True")
    environment = locked(SMALL, tinylib)
    with pytest.raises(UsageError, match="Expected sha256"):
        create(environment)
    assert not list(environment.folder.glob("venv/lib/python*/site-packages/tinylib*"))


def test_what_a_package_says_it_needs_is_not_installed_beyond_the_lock(index: Path) -> None:
    write_wheel(index, "tinytorch", "2.0", needs=["tinydep"])
    write_wheel(index, "tinydep", "0.1")
    environment = locked(SMALL, lock_wheel(index, "tinylib", "1.0"))
    create(environment)
    assert not list(environment.folder.glob("venv/lib/python*/site-packages/tinydep*"))


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a build of tinytorch with a tag into the index of torch's makers, or into one that the user configured."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "own").as_uri())
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", (tmp_path / "further").as_uri())
    monkeypatch.setattr(creation, "WHEELS_OF_TORCH", (tmp_path / "makers").as_uri() + "/")

    def put(folder_name: str, code: str) -> None:
        folder = tmp_path / folder_name / "tinytorch"
        wheel = write_wheel(folder, "tinytorch", "2.0+cpu", code)
        (folder / "index.html").write_text(
            f"<!DOCTYPE html><a href='{wheel.name.replace('+', '%2B')}'>{wheel.name}</a>"
        )

    return put


TAGGED = Recipe("tagged", builds=("tinytorch==2.0+cpu",), modules=("tinytorch",))


def test_a_build_with_a_tag_comes_from_its_makers_index_whatever_others_have(
    indexes: Callable[[str, str], None],
) -> None:
    indexes("makers/cpu", "made_by = 'its makers'")
    indexes("own", "made_by = 'a shadow'")
    indexes("further", "made_by = 'a shadow'")
    environment = Environment(TAGGED)
    create(environment)
    (module,) = environment.folder.glob("venv/lib/python*/site-packages/tinytorch.py")
    assert module.read_text() == "made_by = 'its makers'"


def test_where_that_index_is_out_of_reach_the_user_s_own_serves(indexes: Callable[[str, str], None]) -> None:
    indexes("own", "")
    environment = Environment(TAGGED)
    create(environment)
    assert environment.state() == "ready"
    calls = [line for line in (environment.folder / "install.log").read_text().splitlines() if line.startswith("$ ")]
    assert not any("--extra-index-url" in call for call in calls)
    assert [call.count("--index-url") for call in calls if "tinytorch" in call] == [1, 0]


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
        ("echo 3 14", r"run on Python 3\.11 to 3\.12, and .* is 3\.14; name another interpreter with --python"),
        ("exit 1", "not a Python interpreter"),
    ],
)
def test_an_interpreter_that_the_packages_do_not_run_on_is_refused(
    interpreter: Callable[[str], Path], script: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        create(Environment(BARE), base=interpreter(script))
