"""`avemo-eval ls`, `show` and `validate`: what there is, what a task asks, whether its YAML is valid."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.cli.options import DATA_OPTIONS, Command, add_overrides, given_options
from avemo_harness.cli.output import say, show
from avemo_harness.errors import TaskError, UsageError
from avemo_harness.registry import Registry, describe_arguments, first_sentence, load_object
from avemo_harness.text import printable

if TYPE_CHECKING:
    from avemo_harness.benchmark.task_file import Task
    from avemo_harness.benchmark.task_library import TaskLibrary
    from avemo_harness.run.task_check import TaskCheck

LS_HELP = """\
List tasks and groups, models, scorers, recognizers, judges, extractors or corpora; what packages add with them.

Models, recognizers, judges, extractors and corpora stand with a sentence and their arguments; those of a judge, an
extractor or a corpus are given after its name, those of a model by --model_args.
"""


_REGISTRIES = {
    "models": "avemo_harness.models:REGISTRY",
    "scorers": "avemo_harness.scorers:REGISTRY",
    "recognizers": "avemo_harness.recognizers:REGISTRY",
    "judges": "avemo_harness.recognizers:JUDGE_REGISTRY",
    "extractors": "avemo_harness.recognizers.features:REGISTRY",
}
"""Imported by the list that needs one: together they would be a third of the start-up time of `ls`."""


def add_ls_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=("tasks", *_REGISTRIES, "corpora"), default="tasks")
    _add_include_path(parser)


def _add_include_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--include_path", action="append", default=[], metavar="DIR", help="a folder with more task YAMLs"
    )


def _task_library(args: argparse.Namespace) -> TaskLibrary:
    from avemo_harness.benchmark.task_library import TaskLibrary
    from avemo_harness.scorers import METRICS

    return TaskLibrary(METRICS, [Path(folder) for folder in args.include_path])


def execute_ls(args: argparse.Namespace) -> int:
    if args.what == "tasks":
        _print_tasks(_task_library(args))
        return 0
    if args.what == "corpora":
        _print_corpora()
        return 0
    registry: Registry = load_object(_REGISTRIES[args.what])
    if args.what == "scorers":
        from avemo_harness.scorers import METRICS

        _print_names(registry, lambda name: [f"{name}: {', '.join(sorted(METRICS[name]))}", *_parameters_of(name)])
    else:
        _print_names(registry, partial(_described, registry, own_line=args.what == "models"))
    return 0


def _parameters_of(scorer: str) -> list[str]:
    """The line of what a scorer may be told, where it takes anything."""
    from avemo_harness.scorers import REGISTRY, WITHOUT_PARAMETERS

    if scorer in WITHOUT_PARAMETERS:
        return []
    arguments = getattr(REGISTRY.load(scorer), "Arguments", None)
    return _indented(f"parameters: {describe_arguments(arguments)}") if arguments else []


def _described(registry: Registry, name: str, own_line: bool) -> list[str]:
    """A name with its arguments as they are given after it, and its sentence; nothing of a package is imported.

    Args:
        own_line: arguments are given elsewhere, as those of a model are, and stand in a line of their own.
    """
    if (plugin := registry.plugin(name)) is not None:
        sentence, arguments = plugin.described()
    else:
        entry = registry.load(name)
        arguments_of = getattr(entry, "Arguments", None)
        sentence, arguments = _sentence_of(entry), describe_arguments(arguments_of) if arguments_of else ""
    if own_line:
        return [name, *_indented(sentence, arguments and f"arguments: {arguments}")]
    return [name + _with_colon(arguments), *_indented(sentence)]


def _sentence_of(described: Any) -> str:
    return first_sentence(described.__doc__ or "")


def _indented(*lines: str) -> list[str]:
    return [f"    {printable(line)}" for line in lines if line]


def _with_colon(text: str) -> str:
    return f":{text}" if text else ""


def _print_corpora() -> None:
    from avemo_harness.recognizers.corpora import CORPORA, corpus_arguments

    print(
        "demo", *_indented("The built-in demo, whose made voices and faces follow known valence and arousal."), sep="\n"
    )
    for name, (module, _, reader) in CORPORA.items():
        lines = [f"{name}:{describe_arguments(corpus_arguments(name)).removeprefix('path=')}"]
        print(*lines, *_indented(_sentence_of(load_object(f"{module}:{reader}"))), sep="\n")


def _print_names(registry: Registry, lines: Callable[[str], list[str]]) -> None:
    """Built-in names, then those of installed packages: a broken package hides nothing that stands before it."""
    for name in registry.built_in:
        print(*lines(name), sep="\n")
    for plugin in registry.added():
        first, *others = lines(plugin.name)
        print(f"{first}  ({plugin.package})", *others, sep="\n")


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


SHOW_HELP = """Print a task: its resolved settings, where each came from, and the messages that a model gets."""


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    from avemo_harness.run.config import RunConfig

    parser.add_argument("task", help="a task's name or the path of its YAML")
    parser.add_argument("--resolved", action="store_true", help="say which file and line each value comes from")
    parser.add_argument(
        "--n", type=int, default=0, metavar="N", help="print the messages and name the clips of the first N questions"
    )
    parser.add_argument("--save", metavar="DIR", help="write the clips of these questions there, to play them")
    _add_include_path(parser)
    add_overrides(parser.add_argument_group("which questions"), RunConfig, *DATA_OPTIONS)


def execute_show(args: argparse.Namespace) -> int:
    if args.save is not None and not args.n:
        raise UsageError("--save writes the clips of questions; say of how many with --n N")
    for task in _task_library(args).load([args.task]):
        print(f"{task.name}  version {task.spec.version}  digest {task.digest[:12]}")
        if args.resolved:
            _print_origins(task)
        elif not args.n:
            print(json.dumps(task.spec.model_dump(mode="json", exclude_none=True), indent=1, ensure_ascii=False))
    if args.n:
        from avemo_harness.cli.questions import print_questions
        from avemo_harness.run.config import RunConfig

        save = None if args.save is None else Path(args.save)
        print_questions(args.task, args.n, given_options(args, RunConfig), save=save)
    return 0


def _print_origins(task: Task) -> None:
    from avemo_harness.benchmark.yaml_file import key_name

    leaves = _leaves(task.document.values, ())
    rows = [
        (key_name(path), json.dumps(value, ensure_ascii=False), task.document.origin(path)) for path, value in leaves
    ]
    rows += [(key_name(path), "taken away", origin) for path, origin in task.document.removed.items()]
    width = max(len(name) for name, _, _ in rows)
    for name, value, (file, line) in rows:
        print(f"{name:<{width}}  {value}  ({file.name}:{line})")


def _leaves(values: Any, path: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], Any]]:
    if isinstance(values, dict):
        return [leaf for key, value in values.items() for leaf in _leaves(value, (*path, key))]
    # A list of plain words, such as synonyms, is one value.
    if isinstance(values, list) and any(isinstance(value, dict | list) for value in values):
        return [leaf for key, value in enumerate(values) for leaf in _leaves(value, (*path, key))]
    return [(path, values)]


VALIDATE_HELP = """\
Check task YAMLs: every problem of a file at once, with file, line, key and the nearest valid name.

With --data also what they name: columns and labels of up to 100,000 rows, and the first 50 questions with their
recordings. Every problem is told at once with its row; where there is none, how much would be asked.
"""


def add_validate_arguments(parser: argparse.ArgumentParser) -> None:
    from avemo_harness.run.config import RunConfig

    parser.add_argument("tasks", nargs="*", metavar="TASK", help="tasks, groups or YAML paths; none means all")
    _add_include_path(parser)
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of a task YAML for editors and stop"
    )
    parser.add_argument("--data", action="store_true", help="also read the rows that the tasks ask about")
    add_overrides(parser.add_argument_group("what --data reads"), RunConfig, "dataset", "media_root")


def execute_validate(args: argparse.Namespace) -> int:
    from avemo_harness.benchmark.task_file import editor_schema, load_group_file, load_task_file
    from avemo_harness.scorers import METRICS

    if args.schema:
        print(json.dumps(editor_schema(), indent=1))
        return 0
    library = _task_library(args)
    wanted = args.tasks or [entry.name for entry in library.tasks]
    files = list(dict.fromkeys(file for name in wanted for file in library.files_of(name)))
    groups = [] if args.tasks else [entry.file for entry in library.groups]
    problems = []
    for load, checked in ((load_task_file, files), (load_group_file, groups)):
        for file in checked:
            try:
                load(file, METRICS)
            except TaskError as error:
                problems.append(str(error))
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 2
    if args.data and not _check_data(args, files):
        return 2
    print(f"{len(files)} task{'s are' if len(files) != 1 else ' is'} valid")
    return 0


def _check_data(args: argparse.Namespace, files: Sequence[Path]) -> bool:
    """Print what the data of tasks hold, and what is wrong with them; False where anything is."""
    from avemo_harness.run.config import RunConfig
    from avemo_harness.run.releases import RunReleases
    from avemo_harness.run.task_check import check_task

    names = list(map(str, files))
    asked = {**given_options(args, RunConfig), "model": "requests", "tasks": names}
    config = RunConfig.from_mapping(asked, "command line")
    releases = RunReleases(config, say)
    fine = True
    for task in _task_library(args).load(names):
        found = check_task(task.spec, releases)
        for problem in found.problems:
            own = problem if problem.startswith(f"{task.name}: ") else f"{task.name}: {problem}"
            print(printable(own), file=sys.stderr)
        fine = fine and not found.problems
        if not found.problems:
            _print_counts(task, found)
    return fine


def _print_counts(task: Task, found: TaskCheck) -> None:
    from avemo_harness.benchmark.planning import describe_not_asked

    answers = ", ".join(f"{answer} {count:,}" for answer, count in sorted(found.answers.items()))
    questions = f"{found.items:,} question{'' if found.items == 1 else 's'}{f' ({answers})' if answers else ''}"
    show(f"{task.name}: {questions}; the first {found.made} can be asked")
    if found.not_asked:
        show(f"  not asked: {describe_not_asked(found.not_asked, task.spec.condition.name)}")


COMMANDS = {
    "ls": Command(LS_HELP, add_ls_arguments, execute_ls),
    "show": Command(SHOW_HELP, add_show_arguments, execute_show),
    "validate": Command(VALIDATE_HELP, add_validate_arguments, execute_validate),
}
