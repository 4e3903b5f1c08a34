"""`avemo-eval requests`: write what would be asked into a folder, so that any system can answer it."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from avemo_harness.cli.options import Command, add_data_options, data_values, split_commas
from avemo_harness.cli.output import end_on_signals, say, show
from avemo_harness.errors import UsageError

REQUESTS_HELP = """\
Write what a model would be asked into a folder: requests.jsonl, a line an item with messages in the form of OpenAI's
chat completions, and its clips as files. Any system can answer them: `--model replies` scores the answers.

Nothing in the folder tells a label.
"""

SOUND_PARTS = ("input_audio", "input_audio_url", "audio_url", "in_video")
NAMED_FAILURES = 3


def add_requests_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tasks", required=True, metavar="T,…", help="tasks, groups, globs or YAML paths, separated by commas"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument(
        "--include_path", action="append", metavar="DIR", help="a folder with more task YAMLs; may be repeated"
    )
    parser.add_argument("--gen_kwargs", metavar="K=V,…", help="override the tasks' generation settings")
    parser.add_argument(
        "--sound_part",
        choices=SOUND_PARTS,
        default=SOUND_PARTS[0],
        help="form of a clip's sound; in_video: the video holds it, else it is a WAV file of its own",
    )
    add_data_options(parser.add_argument_group("of which data"))


def execute_requests(args: argparse.Namespace) -> int:
    from avemo_harness.registry import parse_arguments
    from avemo_harness.run.config import RunConfig
    from avemo_harness.run.requests import REQUESTS, write_requests

    if "," in str(args.out):
        raise UsageError(f"--out {args.out}: --model_args could not name it, since it splits at commas; name another")
    given = {
        "tasks": split_commas(args.tasks),
        "include_path": args.include_path,
        "generation": parse_arguments(args.gen_kwargs) if args.gen_kwargs else None,
        **data_values(args),
    }
    values = {name: value for name, value in given.items() if value is not None}
    config = RunConfig.from_mapping({"model": "requests", **values}, "command line")
    end_on_signals()
    written = write_requests(config, args.out, say, args.sound_part)
    for task, reason in written.skipped.items():
        say(f"{task} is left out: {reason}")
    for failure in written.failed[:NAMED_FAILURES]:
        say(f"left out: {failure}")
    if written.failed:
        say(f"{len(written.failed)} items cannot be asked and are left out")
    if written.licences:
        say(f"clips under {', '.join(map(repr, written.licences))}: see that whoever answers may have them")
    show(f"{written.items} requests of {written.tasks} tasks, {written.clips} clips: {args.out / REQUESTS}")
    show(f"answers go into {args.out / 'answers.jsonl'} ({args.out / 'README.md'} says how); then:")
    show(f"  {_next_command(args)}")
    return 0


def _next_command(args: argparse.Namespace) -> str:
    """The command that scores the answers: the same choice of questions."""
    words = ["avemo-eval", "--model", "replies", "--model_args", f"path={args.out}", "--tasks", args.tasks]
    for name in ("include_path", "gen_kwargs", "dataset", "revision", "media_root", "limit", "ids", "where", "seed"):
        value = getattr(args, name)
        for given in value if isinstance(value, list) else [] if value is None else [value]:
            whole = isinstance(given, float) and given.is_integer()
            words += [f"--{name}", str(int(given) if whole else given)]
    return shlex.join([*words, *(["--streaming"] if args.streaming else [])])


COMMANDS = {"requests": Command(REQUESTS_HELP, add_requests_arguments, execute_requests)}
