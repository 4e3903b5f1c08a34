"""Say what this machine has and what is configured, and which models run here."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "huggingface-hub", "av", "numpy", "scikit-learn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`doctor` has no options."""
    del parser


def execute(args: argparse.Namespace) -> int:
    """Print the facts; exit 1 where something that every run needs is missing."""
    del args
    from avemo_harness import __version__, paths
    from avemo_harness.benchmark.release_loader import remembered_release

    cache = paths.cache_dir()
    print(f"avemo-harness    {__version__}")
    print(f"python           {platform.python_version()} on {platform.platform()}, {os.cpu_count()} CPUs")
    missing = [name for name in PACKAGES if not _print_version(name)]
    print(f"H.264 encoder    {_encoder()}")
    print(f"accelerator      {_accelerator()}")
    cache.mkdir(parents=True, exist_ok=True)
    print(f"cache            {cache} ({shutil.disk_usage(cache).free / 2**30:.0f} GiB free)")
    print(f"AVEMO_DATASET    {os.environ.get('AVEMO_DATASET') or 'not set'}")
    print(f"data use         {remembered_release() or 'nothing remembered'}")
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
    from avemo_harness.models import load_class
    from avemo_harness.models.environments.places import Environment
    from avemo_harness.models.environments.recipes import RECIPES, find_recipe
    from avemo_harness.models.requirements import remedy, requires_of, unmet

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
