"""List tasks and groups, models, scorers, recognizers, judges, extractors or corpora; what packages add with them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from avemo_harness import models, recognizers, scorers
from avemo_harness.arguments import describe_arguments
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.plugins import Registry
from avemo_harness.recognizers import extractors
from avemo_harness.recognizers.corpora import CORPORA, corpus_arguments

REGISTRIES = {
    "models": models.REGISTRY,
    "scorers": scorers.REGISTRY,
    "recognizers": recognizers.REGISTRY,
    "judges": recognizers.JUDGE_REGISTRY,
    "extractors": extractors.REGISTRY,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `ls`."""
    parser.add_argument("what", nargs="?", choices=("tasks", *REGISTRIES, "corpora"), default="tasks")
    parser.add_argument(
        "--include_path", action="append", default=[], metavar="DIR", help="a folder with more task YAMLs"
    )


def execute(args: argparse.Namespace) -> int:
    """Print the list."""
    if args.what == "tasks":
        _print_tasks(TaskLibrary(scorers.METRICS, [Path(folder) for folder in args.include_path]))
    elif args.what == "scorers":
        _print_names(scorers.REGISTRY, facts=lambda name: f": {', '.join(sorted(scorers.METRICS[name]))}")
    elif args.what == "corpora":
        for name in ("demo", *CORPORA):
            print(name + (_corpus_arguments(name) if name in CORPORA else ""))
    elif args.what == "extractors":
        _print_names(extractors.REGISTRY, facts=_extractor_arguments)
    else:
        _print_names(REGISTRIES[args.what])
    return 0


def _corpus_arguments(name: str) -> str:
    return ":" + describe_arguments(corpus_arguments(name)).removeprefix("path=")


def _extractor_arguments(name: str) -> str:
    text = describe_arguments(extractors.REGISTRY.load(name).Arguments)
    return f":{text}" if text else ""


def _print_names(registry: Registry, facts: Callable[[str], str] = lambda name: "") -> None:
    """Built-in names, then those of installed packages: a broken package hides nothing that stands before it."""
    for name in registry.built_in:
        print(name + facts(name))
    for plugin in registry.added():
        print(f"{plugin.name}{facts(plugin.name)}  ({plugin.package})")


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
    for entry in library.added:
        print(f"{entry.name}  ({entry.package})")
