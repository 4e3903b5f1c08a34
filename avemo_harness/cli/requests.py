"""`avemo-eval requests`: write what would be asked into a folder, so that any system can answer it."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from avemo_harness.cli.options import (
    DATA_OPTIONS,
    Command,
    add_options,
    add_overrides,
    given_options,
    option_words,
)
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
    from avemo_harness.run.config import RunConfig

    add_options(parser, RunConfig, "tasks")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    add_overrides(parser, RunConfig, "include_path", "generation")
    parser.add_argument(
        "--sound_part",
        choices=SOUND_PARTS,
        default=SOUND_PARTS[0],
        help="form of a clip's sound; in_video: the video holds it, else it is a WAV file of its own",
    )
    add_overrides(parser.add_argument_group("of which data"), RunConfig, *DATA_OPTIONS)


def execute_requests(args: argparse.Namespace) -> int:
    from avemo_harness.run.config import RunConfig
    from avemo_harness.run.requests import REQUESTS, write_requests

    if "," in str(args.out):
        raise UsageError(f"--out {args.out}: --model_args could not name it, since it splits at commas; name another")
    config = RunConfig.from_mapping({"model": "requests", **given_options(args, RunConfig)}, "command line")
    end_on_signals()
    written = write_requests(config, args.out, say, args.sound_part)
    for task, reason in written.skipped.items():
        say(f"{task} is left out: {reason}")
    for failure in written.failed[:NAMED_FAILURES]:
        say(f"left out: {failure}")
    if written.failed:
        say(f"{len(written.failed)} items cannot be asked and are left out")
    if written.licences:
        terms = [repr(licence) if licence else "no stated licence" for licence in written.licences]
        say(f"clips under {', '.join(terms)}: see that whoever answers may have them")
    show(f"{written.items} requests of {written.tasks} tasks, {written.clips} clips: {args.out / REQUESTS}")
    show(f"answers go into {args.out / 'answers.jsonl'} ({args.out / 'README.md'} says how); then:")
    show(f"  {_next_command(args)}")
    return 0


def _next_command(args: argparse.Namespace) -> str:
    """The command that scores the answers: the same choice of questions."""
    from avemo_harness.run.config import RunConfig

    words = ["avemo-eval", "--model", "replies", "--model_args", f"path={args.out}", "--tasks", args.tasks]
    return shlex.join([*words, *option_words(args, RunConfig, "include_path", "generation", *DATA_OPTIONS)])


COMMANDS = {"requests": Command(REQUESTS_HELP, add_requests_arguments, execute_requests)}
