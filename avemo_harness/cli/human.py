"""Let people rate spoken replies, as the benchmark's table has it: ER, EN and RR on five points.

avemo-eval human plan    RUN [LABEL=RUN ...] --out STUDY     which dialogues, whose sessions, and the files
avemo-eval human serve   STUDY                               the web pages that raters see
avemo-eval human extend  STUDY                               more raters, where items would lack some
avemo-eval human import  STUDY RATINGS.csv                   ratings that were made with another tool
avemo-eval human analyze STUDY                               scores with intervals, and how far raters agree
"""

from __future__ import annotations

import argparse

from avemo_harness.cli import human_analyze, human_extend, human_import, human_plan, human_serve
from avemo_harness.cli.output import say

ACTIONS = {
    "plan": human_plan,
    "serve": human_serve,
    "extend": human_extend,
    "import": human_import,
    "analyze": human_analyze,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="{" + ",".join(ACTIONS) + "}")
    for name, module in ACTIONS.items():
        summary = (module.__doc__ or "").splitlines()[0]
        module.add_arguments(actions.add_parser(name, help=summary, description=summary))


def execute(args: argparse.Namespace) -> int:
    """Do one of them; returns the exit code."""
    from avemo_harness.human.privacy import warning_of_openness

    warning = warning_of_openness(args.out if args.action == "plan" else args.study)
    if warning:
        say(warning)
    code: int = ACTIONS[args.action].execute(args)
    return code
