"""Recipes name the packages of published code, and the builds of this environment."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from avemo_harness.errors import UsageError
from avemo_harness.models.environments import recipes
from avemo_harness.models.environments.recipes import (
    COMPILED,
    RECIPES,
    Recipe,
    find_recipe,
    is_hashed,
    libraries,
    names_of,
    pin_of,
)


@pytest.mark.parametrize("name", RECIPES)
def test_an_environment_has_the_transformers_of_its_model_and_the_torch_of_this_one(name: str) -> None:
    recipe = find_recipe(name)
    assert recipe.name == name
    assert "transformers==4.45.0" in recipe.packages
    assert f"torch=={version('torch')}" in map(pin_of, recipe.builds)
    assert "torchaudio==2.11.0" in recipe.packages
    assert all("==" in requirement for requirement in (*recipe.builds, *recipe.packages))


@pytest.mark.parametrize("name", RECIPES)
def test_every_package_of_an_environment_is_locked_with_hashes(name: str) -> None:
    recipe = find_recipe(name)
    lines = [line for line in recipe.lock if not line.startswith("-")]
    assert set(map(pin_of, recipe.packages)) <= set(map(pin_of, lines))
    assert all(is_hashed(line) for line in lines)


@pytest.mark.parametrize("name", RECIPES)
def test_a_lock_has_no_build_of_torch_and_names_no_index(name: str) -> None:
    lock = find_recipe(name).lock
    assert not names_of(lock) & set(COMPILED)
    options = [line for line in lock if line.startswith("-")]
    assert options[0] == "--only-binary :all:"
    assert all(option.startswith("--no-binary ") for option in options[1:])


@pytest.mark.parametrize("name", RECIPES)
def test_what_torch_needs_is_in_the_lock_or_among_its_libraries(name: str) -> None:
    recipe = find_recipe(name)
    there = names_of(recipe.lock) | names_of(recipe.builds) | names_of(recipe.libraries)
    assert names_of(libraries(COMPILED, without=[])) <= there


def test_a_digest_tells_recipes_apart() -> None:
    recipes = [
        Recipe("a"),
        Recipe("b"),
        Recipe("a", packages=("x==1",)),
        Recipe("a", builds=("x==1",)),
        Recipe("a", libraries=("x==1",)),
        Recipe("a", lock=("x==1 --hash=sha256:00",)),
        Recipe("a", lock=("x==1 --hash=sha256:01",)),
    ]
    assert len({recipe.digest for recipe in recipes}) == len(recipes)
    assert Recipe("a").digest == Recipe("a").digest


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown environment 'minicpmo'.*minicpm-o"):
        find_recipe("minicpmo")


BUILDS = """# A comment.
tinytorch==2.0 ; sys_platform == 'linux' \\
    --hash=sha256:00 \\
    --hash=sha256:01
"""


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    (tmp_path / "builds.txt").write_text(BUILDS)


@pytest.mark.usefixtures("builds")
def test_a_requirement_is_a_line_with_its_marker_and_hashes() -> None:
    assert recipes.read_lock("builds") == (
        "tinytorch==2.0 ; sys_platform == 'linux' --hash=sha256:00 --hash=sha256:01",
    )


@pytest.mark.usefixtures("builds")
def test_only_the_very_version_has_hashes() -> None:
    assert recipes.with_hashes(["tinytorch==2.0", "tinytorch==2.0+cpu", "tinytorch==2.1"]) == (
        "tinytorch==2.0 --hash=sha256:00 --hash=sha256:01",
        "tinytorch==2.0+cpu",
        "tinytorch==2.1",
    )


@pytest.mark.usefixtures("builds")
def test_libraries_are_all_that_is_needed_by_way_of_extras_and_markers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = {
        "tinybuild": ["tinykit[blas]", "tinyold; python_version < '3'", "tinylocked", "tinyabsent", "tinybuild"],
        "tinykit": ["tiny-blas==1.0; extra == 'blas'", "tiny-fft==1.0; extra == 'fft'"],
        "tinylocked": ["tinyfft"],
        "tiny_blas": ["tinykit"],
        "tiny_fft": [],
        "tinyold": [],
    }
    for name, wanted in needs.items():
        about = tmp_path / f"{name}-1.0.dist-info"
        about.mkdir()
        lines = [f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {one}" for one in wanted)]
        (about / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert recipes.libraries(["tinybuild"], without=["tinylocked"]) == ("tiny-blas==1.0", "tinykit==1.0")
