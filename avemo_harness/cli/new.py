"""`avemo-eval new task`: a task for any data set, proposed from its columns and first rows."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.cli.options import Command
from avemo_harness.cli.output import show
from avemo_harness.errors import UsageError

if TYPE_CHECKING:
    from avemo_harness.benchmark.proposal import Proposal

NEW_HELP = "Make something new: `avemo-eval new task NAME --from DATA`."

NEW_TASK_HELP = """\
Propose a task for a data set: a commented YAML, checked, with its first question.

DATA is a table (CSV, TSV, JSONL, Parquet, WebDataset tar), a folder of these or of recordings, or the id of a data set
on the Hub (ORG/NAME). The columns and first rows tell which column holds what, the labels, and what to ask; the file
says of each guess what it is from.
"""


def add_new_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("form", choices=("task",), help="of what")


def execute_new(args: argparse.Namespace) -> int:
    raise UsageError(NEW_HELP)


def add_new_task_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the task's name: lower-case letters, digits and underscores")
    parser.add_argument("--from", dest="source", metavar="DATA", required=True, help="Hub id, file or folder")
    parser.add_argument("--config", help="config of a data set that has several")
    parser.add_argument("--split", help="data set split (default: test, else validation, else train)")
    parser.add_argument("--revision", help="Hub revision; the commit that it stands for is written into the task")
    parser.add_argument("--out", metavar="FILE", help="the YAML to write (default: NAME.yaml)")


def execute_new_task(args: argparse.Namespace) -> int:
    out = Path(args.out or f"{args.name}.yaml")
    _check_name(args.name)
    if out.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{out}: a task's file ends in .yaml; name another with --out FILE")
    if out.exists():
        raise UsageError(f"{out} is there already and is not overwritten; delete it, or name another with --out FILE")
    proposal = _write(args, out)
    file = shlex.quote(str(out))
    show(f"{out}: a task about {args.source}; read it, and change what was guessed wrong")
    try:
        _preview(out)
    finally:
        for command in (
            f"avemo-eval show {file} --n 2",
            f"avemo-eval validate {file} --data",
            f"avemo-eval --model {_MODELS.get(proposal.question, _ANY_SERVER)} --tasks {file} --limit 5",
        ):
            show(f"  {command}")
    return 0


def _check_name(name: str) -> None:
    from avemo_harness.benchmark.task_library import TaskLibrary
    from avemo_harness.scorers import METRICS

    if not re.fullmatch("[a-z0-9][a-z0-9_]*", name):
        raise UsageError(
            f"{name!r} is no name of a task: lower-case letters, digits and underscores, such as my_voices"
        )
    library = TaskLibrary(METRICS)
    taken = {entry.name for entry in (*library.tasks, *library.groups, *library.added)}
    if name in taken | {entry.group for entry in library.tasks}:
        raise UsageError(
            f"{name!r} is the name of a task or group already; choose another (`avemo-eval ls` lists them)"
        )


_MODELS = {"label": "random", "choice": "random"}
"""Models for the first run by what they are asked: built-in ones give no text."""
_ANY_SERVER = "openai --model_args base_url=http://localhost:8000/v1"


def _write(args: argparse.Namespace, out: Path) -> Proposal:
    from avemo_harness.benchmark.proposal import propose
    from avemo_harness.benchmark.proposal_file import task_yaml
    from avemo_harness.benchmark.proposal_source import look_at, path_from
    from avemo_harness.files import write_atomically

    found = look_at(args.source, args.config, args.split, args.revision)
    dataset = {"path": path_from(out.parent, args.source)}
    for key, default in (("name", "default"), ("split", "test"), ("revision", None)):
        value = getattr(found.dataset, key)
        if value is not None and value != default:
            dataset[key] = value
    rows = f"{'all' if found.whole else 'the first'} {len(found.rows):,} rows"
    proposal = propose(found.features, found.rows)
    write_atomically(out, task_yaml(args.name, dataset, proposal, f"{args.source} ({rows})"))
    return proposal


def _preview(file: Path) -> None:
    """Check the file, and print its first question."""
    from avemo_harness.cli.questions import print_questions
    from avemo_harness.run.prepare import load_task

    load_task(str(file))
    print_questions(str(file), 1, {"streaming": True, "limit": 1.0})


COMMANDS = {
    "new": Command(
        NEW_HELP,
        add_new_arguments,
        execute_new,
        {"task": Command(NEW_TASK_HELP, add_new_task_arguments, execute_new_task)},
    ),
}
