"""Take in ratings that were made with another tool, from CSV or JSON lines."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `human import`."""
    parser.add_argument("study", type=Path, metavar="STUDY", help="the folder of a study")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="CSV with a first line of names, or .jsonl")
    parser.add_argument(
        "--columns",
        default="",
        metavar="FIELD=COLUMN,...",
        help="what the files call rater, item (or dialogue and system), scales, er, en, rr, repeat, seconds",
    )
    parser.add_argument(
        "--scales",
        metavar="NAME",
        help="the wording of the scales that the files were rated on, where no column scales says it; ratings on any "
        "but the study's own are kept apart",
    )


def execute(args: argparse.Namespace) -> int:
    """Import every file, each wholly or not at all; returns the exit code."""
    from avemo_harness.arguments import parse_arguments
    from avemo_harness.human.importing import import_ratings
    from avemo_harness.human.study import read_key, read_study

    study, key = read_study(args.study), read_key(args.study)
    columns = parse_arguments(args.columns)
    for file in args.files:
        done = import_ratings(args.study, study, key, file, columns, args.scales)
        again = f", {done.known} were there already" if done.known else ""
        print(f"{file}: {done.added} ratings of {done.raters} raters{again}")
        for scales, number in done.apart.items():
            print(
                f"{number} of them on the scales {scales}, which are not the study's ({study.scales_version}): kept "
                "apart, under names of their own, and never averaged with the others"
            )
    print(f"next: avemo-eval human analyze {args.study}")
    return 0
