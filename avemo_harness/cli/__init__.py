"""The command `avemo-eval`: modules of commands, imported only when one of theirs is asked for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from avemo_harness.cli.options import Command
from avemo_harness.cli.output import explain_os_error, explain_storage_error, rank
from avemo_harness.errors import AvemoError, StorageError
from avemo_harness.text import printable_lines

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "evaluate a model on tasks (the default when flags come first)"),
    "ls": ("tasks", "list tasks, models, scorers, recognisers, judges, extractors or corpora"),
    "new": ("new", "propose a task for a data set: `new task NAME --from DATA` writes its YAML"),
    "show": ("tasks", "print a task: its settings, and the messages that a model gets"),
    "validate": ("tasks", "check task YAMLs"),
    "plan": ("plan", "what a run would ask and cost: clips, tokens, hours, disk and memory"),
    "requests": ("requests", "write what would be asked as files, for `--model replies` to score the answers"),
    "judge": ("runs", "judge the spoken replies of a run with a recogniser; `judge use` remembers one"),
    "grade": ("grade", "grade a run's answers by the rubric of their task, with a model"),
    "recognizer": ("recognizer", "train, evaluate or apply a recogniser that judges replies"),
    "score": ("runs", "score a run again, without a model"),
    "report": ("runs", "write a run as an HTML page: figures, and every turn to look at and listen to"),
    "compare": ("runs", "compare runs on the same items, or the conditions within one run"),
    "leaderboard": ("runs", "rows of runs, and apart from them the published table"),
    "export": ("runs", "write a run's results for the Hub, for papers and for other tools"),
    "human": ("human", "let people rate spoken replies: plan, serve, extend, import, analyze"),
    "data": ("data", "make, import, check, share or choose a release"),
    "env": ("env", "make, list or remove the private environments that some models need"),
    "doctor": ("env", "say what this machine has, what is configured, and which models run here"),
}
"""Each command with the module that has it and a line of the overview."""
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    0 done, 1 more failed items than ``--max_errors``, 2 something the user can fix, 130 interrupted and resumable.
    """
    arguments = [_with_underscores(argument) for argument in (sys.argv[1:] if argv is None else argv)]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from avemo_harness import __version__

        print(f"avemo-harness {__version__}")
        return 0
    name, rest = ("run", arguments) if arguments[0].startswith("-") else (arguments[0], arguments[1:])
    if name not in COMMANDS:
        return _refuse(f"unknown command {name!r}; commands: {', '.join(COMMANDS)}")
    command: Command = import_module(f"avemo_harness.cli.{COMMANDS[name][0]}").COMMANDS[name]
    if rest and rest[0] in command.forms:
        name, command, rest = f"{name} {rest[0]}", command.forms[rest[0]], rest[1:]
    parser = argparse.ArgumentParser(
        prog=f"avemo-eval {name}", description=command.description, formatter_class=_Formatter
    )
    command.add_arguments(parser)
    args = parser.parse_args(rest)
    try:
        code = command.execute(args)
        sys.stdout.flush()
    except StorageError as error:
        return _refuse(explain_storage_error(error, args))
    except AvemoError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        if rank() == 0:
            print("\ninterrupted; the same command continues", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has seen enough.
        sys.stderr.close()
        return 0
    except OSError as error:
        _drop_output()
        return _refuse(explain_os_error(error, args))
    return code


def _drop_output() -> None:
    """Keep the interpreter from writing once more, at its end, what standard output could not take."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the description's lines and shows defaults."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # A default that is nothing would be shown as (default: None).
        return action.help if action.default in (None, False, []) else super()._get_help_string(action)


def _with_underscores(argument: str) -> str:
    """Accept ``--batch-size`` for ``--batch_size``."""
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    return "--" + flag[2:].replace("-", "_") + equals + value


def _refuse(message: str) -> int:
    process = f" (rank {rank()})" if rank() else ""
    # Messages quote what stands in files, which may try to steer the terminal.
    print(f"avemo-eval{process}: {printable_lines(message)}", file=sys.stderr)
    return EXIT_USAGE


def _overview() -> str:
    commands = "\n".join(f"  {name:<12}{summary}" for name, (_, summary) in COMMANDS.items())
    return f"""usage: avemo-eval --model MODEL --tasks TASKS [options]
       avemo-eval COMMAND [options]

Evaluate how well an omni-modal model understands a person's emotion from voice and face.

  avemo-eval --model baseline --tasks demo            first try: no GPU, no download
  avemo-eval --model MODEL --tasks multiturn_real     a split of the benchmark
  avemo-eval --model MODEL --tasks multiturn_real --limit 10

The same command continues an interrupted run.

commands:
{commands}

`avemo-eval COMMAND --help` tells a command's options."""
