"""Recipes name the packages of published code, and the builds of this environment."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from avemo_harness.errors import UsageError
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
