"""Ask for more raters, where some were left out by the plan's rules, went away, or could not play an item."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `human extend`."""
    parser.add_argument("study", type=Path, metavar="STUDY", help="the folder of a study; its server may be running")
    parser.add_argument(
        "--invitations", type=int, metavar="N", help="how many to add (default: two for each session that is added)"
    )


def execute(args: argparse.Namespace) -> int:
    """Extend the study and say by how much; returns the exit code."""
    from avemo_harness.errors import UsageError
    from avemo_harness.human.extending import extend_study
    from avemo_harness.human.planning import INVITATIONS
    from avemo_harness.human.study import read_study

    if args.invitations is not None and args.invitations < 0:
        raise UsageError(f"--invitations must be 0 or more, found {args.invitations}")
    done = extend_study(args.study, read_study(args.study), args.invitations)
    if done.lacking:
        print(f"{done.lacking} items will lack raters: {done.sessions} sessions added")
    else:
        print("every item has its raters, or will have them from sessions that are still open")
    if done.invitations:
        print(f"{done.invitations} invitations added at the end of {args.study / INVITATIONS}")
    return 0
