"""`avemo-eval judge compare`: what several judges say of the same runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.cli.options import add_moved_media_root, releases_of_run
from avemo_harness.cli.output import say, show

JUDGE_COMPARE_HELP = """Judge runs by several recognisers, and show whether these agree: a claim should not hang on one.

avemo-eval judge compare RUN --recognizer A --recognizer B              how alike they rank the turns of a run
avemo-eval judge compare RUN RUN ... --recognizer A --recognizer B      also the systems, by their mean scores

What a judge has judged before is used again. By which judge a run is scored, and its results, stay as they are.
"""


def add_judge_compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run directories with spoken replies")
    parser.add_argument(
        "--recognizer",
        dest="recognizers",
        action="append",
        required=True,
        metavar="NAME_OR_DIR",
        help="a judge, as of `avemo-eval judge`; at least two",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to a JSON file")
    parser.add_argument("--device", help="where neural recognisers run, e.g. cuda:0")
    add_moved_media_root(parser)


def execute_judge_compare(args: argparse.Namespace) -> int:
    from avemo_harness.files import write_atomically
    from avemo_harness.report.judge_agreement import compare_judges, format_judge_comparison

    comparison = compare_judges(
        args.runs, args.recognizers, lambda record: releases_of_run(record.config, args, say), args.device
    )
    show(format_judge_comparison(comparison))
    if args.json:
        write_atomically(args.json, comparison.to_json())
    return 0
