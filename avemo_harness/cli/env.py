"""Make, list or remove the private environments of models whose published code needs old packages.

`avemo-eval env create NAME` continues an interrupted attempt; `env list` tells what there is.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions of `env`."""
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make an environment; takes some minutes")
    create.add_argument("name", metavar="NAME", help="of the model, such as minicpm-o")
    create.add_argument("--python", type=Path, help="interpreter to make it of (default: this one)")
    actions.add_parser("list", help="what there is, in which state, and where")
    remove = actions.add_parser("remove", help="delete an environment")
    remove.add_argument("name", metavar="NAME")


def execute(args: argparse.Namespace) -> int:
    """Do the action."""
    from avemo_harness.models.environments.places import Environment
    from avemo_harness.models.environments.recipes import find_recipe

    if args.action == "list":
        return _list()
    environment = Environment(find_recipe(args.name))
    if args.action == "create":
        from avemo_harness.models.environments.creation import create

        create(environment, _say, args.python)
    elif environment.remove(_say):
        print(f"{args.name} is removed from {environment.folder}")
    else:
        print(f"{args.name}: there is none in {environment.folder}")
    return 0


def _list() -> int:
    from avemo_harness.models.environments.places import Environment
    from avemo_harness.models.environments.recipes import RECIPES
    from avemo_harness.text_table import aligned

    rows = [["environment", "state", "size", "recipe", "path"]]
    for name, recipe in RECIPES.items():
        environment = Environment(recipe())
        state = environment.state()
        size = "" if state == "missing" else f"{environment.size_bytes() / 2**30:.2f} GiB"
        rows.append([name, state, size, environment.recipe.digest, str(environment.folder)])
    print("\n".join(aligned(rows)))
    return 0


def _say(line: str) -> None:
    print(line, flush=True)
