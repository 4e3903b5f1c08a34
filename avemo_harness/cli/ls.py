"""List tasks and groups, models or scorers."""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.models import MODELS
from avemo_harness.scorers import METRICS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `ls`."""
    parser.add_argument("what", nargs="?", choices=("tasks", "models", "scorers"), default="tasks")
    parser.add_argument(
        "--include_path", action="append", default=[], metavar="DIR", help="a folder with more task YAMLs"
    )


def execute(args: argparse.Namespace) -> int:
    """Print the list."""
    if args.what == "models":
        print("\n".join(MODELS))
    elif args.what == "scorers":
        print("\n".join(f"{name}: {', '.join(sorted(metrics))}" for name, metrics in METRICS.items()))
    else:
        _print_tasks(TaskLibrary(METRICS, [Path(folder) for folder in args.include_path]))
    return 0


def _print_tasks(library: TaskLibrary) -> None:
    titles = {entry.name: entry.title for entry in library.groups}
    groups = dict.fromkeys([*titles, *(entry.group for entry in library.tasks if entry.group)])
    for name in groups:
        title = titles.get(name)
        print(f"{name}  ({title})" if title else name)
        for entry in library.members(name):
            print(f"  {entry.name}")
    for entry in library.tasks:
        if entry.group is None:
            print(entry.name)
