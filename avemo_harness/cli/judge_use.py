"""`avemo-eval judge use`: the judge of spoken replies that later commands take."""

from __future__ import annotations

import argparse

from avemo_harness.cli.choices import add_forget_option, show_unjudged_runs, use_choice

JUDGE_USE_HELP = """Choose the judge of spoken replies.

`avemo-eval judge use JUDGE` remembers it for later commands, which then judge what is not judged yet; without JUDGE it
says which one is remembered, and --forget forgets it. --recognizer, the judge that a run has already, and AVEMO_JUDGE
go before it. It names the runs in runs/ here whose replies have no judge yet.
"""


def add_judge_use_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "judge", nargs="?", metavar="JUDGE", help="as --recognizer takes it: a name with arguments, or a folder"
    )
    add_forget_option(which)


def execute_judge_use(args: argparse.Namespace) -> int:
    from avemo_harness.run.judge_choice import REMEMBERED, remember_judge

    code = use_choice(args, "judge", REMEMBERED, remember_judge)
    if args.judge is not None:
        show_unjudged_runs()
    return code
