"""`avemo-eval env` and `doctor`: private environments of models, and facts about this machine."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from avemo_harness.cli.options import Command
from avemo_harness.text import aligned

ENV_HELP = """Make, list or remove the private environments of models whose published code needs old packages.

`avemo-eval env create NAME` continues an interrupted attempt; `env list` tells what there is.
"""


def add_env_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make an environment; takes some minutes")
    create.add_argument("name", metavar="NAME", help="of the model, such as minicpm-o")
    create.add_argument("--python", type=Path, help="interpreter to make it of (default: this one)")
    actions.add_parser("list", help="what there is, in which state, and where")
    remove = actions.add_parser("remove", help="delete an environment")
    remove.add_argument("name", metavar="NAME")


def execute_env(args: argparse.Namespace) -> int:
    from avemo_harness.models.environments.recipes import Environment, find_recipe

    if args.action == "list":
        return _list_environments()
    environment = Environment(find_recipe(args.name))
    say = partial(print, flush=True)  # each step takes minutes, so its line must not wait in a buffer
    if args.action == "create":
        from avemo_harness.models.environments.creation import create

        create(environment, say, args.python)
    elif environment.remove(say):
        print(f"{args.name} is removed from {environment.folder}")
    else:
        print(f"{args.name}: there is none in {environment.folder}")
    return 0


def _list_environments() -> int:
    from avemo_harness.models.environments.recipes import RECIPES, Environment

    rows = [["environment", "state", "size", "recipe", "path"]]
    for name, recipe in RECIPES.items():
        environment = Environment(recipe())
        state = environment.state()
        size = "" if state == "missing" else f"{environment.size_bytes() / 2**30:.2f} GiB"
        rows.append([name, state, size, environment.recipe.digest, str(environment.folder)])
    print("\n".join(aligned(rows)))
    return 0


DOCTOR_HELP = """Say what this machine has and what is configured, and which models run here."""


PACKAGES = ("torch", "transformers", "accelerate", "datasets", "huggingface-hub", "av", "numpy", "scikit-learn")


def add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def execute_doctor(args: argparse.Namespace) -> int:
    del args
    from avemo_harness import __version__, files
    from avemo_harness.benchmark.corpora import remembered_corpora
    from avemo_harness.benchmark.release_loader import remembered_release
    from avemo_harness.run.judge_choice import remembered_judge

    cache = files.cache_dir()
    print(f"avemo-harness    {__version__}")
    print(f"python           {platform.python_version()} on {platform.platform()}, {os.cpu_count()} CPUs")
    missing = [name for name in PACKAGES if not _print_version(name)]
    print(f"H.264 encoder    {_encoder()}")
    print(f"accelerator      {_accelerator()}")
    cache.mkdir(parents=True, exist_ok=True)
    print(f"cache            {cache} ({shutil.disk_usage(cache).free / 2**30:.0f} GiB free)")
    print(f"AVEMO_DATASET    {os.environ.get('AVEMO_DATASET') or 'not set'}")
    print(f"data use         {remembered_release() or 'nothing remembered'}")
    for name, folder in remembered_corpora().items():
        print(f"  {name:<15}{folder}")
    print(f"AVEMO_JUDGE      {os.environ.get('AVEMO_JUDGE') or 'not set'}")
    print(f"judge use        {remembered_judge() or 'nothing remembered'}")
    _print_models()
    for name in missing:
        print(f"missing: {name}; install the package again with pip")
    return 1 if missing else 0


def _print_version(package: str) -> bool:
    try:
        print(f"{package:<16} {version(package)}")
    except PackageNotFoundError:
        return False
    return True


def _print_models() -> None:
    from avemo_harness.errors import UsageError
    from avemo_harness.models import REGISTRY

    print("models")
    for name in REGISTRY.names():
        try:
            fact = _model_fact(name)
        except UsageError as error:
            fact = str(error).removeprefix(f"{name} ")
        print(f"  {name:<14} {fact}")


def _model_fact(name: str) -> str:
    """The requirements of a model and their state (UsageError: its environment or its package does not work)."""
    from avemo_harness.models import load_class, remedy, requires_of, unmet
    from avemo_harness.models.environments.recipes import RECIPES, Environment, find_recipe

    if name in RECIPES:
        Environment(find_recipe(name)).check_ready()
        return "runs here, in an environment of its own"
    requires = requires_of(load_class(name))
    if rows := unmet(requires):
        return f"does not run here: it needs {'; '.join(map(str, rows))}: {remedy(rows)}"
    wanted = ", ".join(f"{package} {versions}" for package, versions in requires.items())
    return f"runs here: it needs {wanted}" if wanted else "no requirement of its own"


def _encoder() -> str:
    import av

    return "libx264" if "libx264" in av.codecs_available else "not in this build of PyAV: MPEG-4 is used instead"


def _accelerator() -> str:
    try:
        import torch
    except ImportError as error:
        return f"torch cannot be imported ({error})"
    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return "Apple MPS" if torch.backends.mps.is_available() else "none: models run on the CPU"


COMMANDS = {
    "env": Command(ENV_HELP, add_env_arguments, execute_env),
    "doctor": Command(DOCTOR_HELP, add_doctor_arguments, execute_doctor),
}
