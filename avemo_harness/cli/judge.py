"""Judge the spoken replies of a run with a recogniser, without a model; answers are left untouched.

The run is scored by the judge that was named last: `avemo-eval score RUN` prints its table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.cli.data_options import add_moved_media_root, releases_of_run
from avemo_harness.cli.output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `judge`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument(
        "--recognizer",
        metavar="NAME_OR_DIR",
        help="`embedded`, the folder of a trained recogniser, or what an installed package adds "
        "(default: the one that judged the run before, else the embedded one)",
    )
    parser.add_argument("--device", help="where a neural recogniser runs, e.g. cuda:0")
    add_moved_media_root(parser)


def execute(args: argparse.Namespace) -> int:
    """Judge, say by whom, return the exit code."""
    from avemo_harness.evaluation import judge_replies
    from avemo_harness.run.config import read_run

    releases = releases_of_run(read_run(args.run).config, args, say)
    judgements = judge_replies(args.run, args.recognizer, releases, device=args.device)
    if judgements is None:
        print("nothing to judge: the run holds no spoken replies")
    else:
        print(f"judged by {judgements.judge.name} ({judgements.judge.digest[:12]}); avemo-eval score {args.run}")
    return 0
