"""Check task YAMLs: every problem of a file at once, with file, line, key and the nearest valid name."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from avemo_harness.errors import TaskError
from avemo_harness.scorers import METRICS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `validate`."""
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="tasks, groups or YAML paths; none means all")
    parser.add_argument(
        "--include_path", action="append", default=[], metavar="DIR", help="a folder with more task YAMLs"
    )
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of a task YAML for editors and stop"
    )


def execute(args: argparse.Namespace) -> int:
    """Print what is wrong, or how many tasks are right."""
    from avemo_harness.benchmark.task_file import editor_schema, load_group_file, load_task_file
    from avemo_harness.benchmark.task_library import TaskLibrary

    if args.schema:
        print(json.dumps(editor_schema(), indent=1))
        return 0
    library = TaskLibrary(METRICS, [Path(folder) for folder in args.include_path])
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
    print(f"{len(files)} task{'s are' if len(files) != 1 else ' is'} valid")
    return 0
