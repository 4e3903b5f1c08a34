"""Recipes name the packages of published code, and the builds of this environment."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from avemo_harness.errors import UsageError
from avemo_harness.models.environments.recipes import RECIPES, Recipe, find_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_an_environment_has_the_transformers_of_its_model_and_the_torch_of_this_one(name: str) -> None:
    recipe = find_recipe(name)
    assert recipe.name == name
    assert "transformers==4.45.0" in recipe.packages
    assert f"torch=={version('torch')}" in recipe.builds
    assert "torchaudio==2.11.0" in recipe.packages
    assert all("==" in requirement for requirement in (*recipe.builds, *recipe.packages))


def test_a_digest_tells_recipes_apart() -> None:
    recipes = [Recipe("a"), Recipe("b"), Recipe("a", packages=("x==1",)), Recipe("a", builds=("x==1",))]
    assert len({recipe.digest for recipe in recipes}) == len(recipes)
    assert Recipe("a").digest == Recipe("a").digest


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown environment 'minicpmo'.*minicpm-o"):
        find_recipe("minicpmo")
