"""Score a run again from its directory, without a model, and print its table."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `score`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument(
        "--max_errors", type=int, default=0, metavar="N", help="failed items that still count as success"
    )


def execute(args: argparse.Namespace) -> int:
    """Score, print the results, return the exit code."""
    from avemo_harness.report.results import score_run
    from avemo_harness.report.table import format_results

    result = score_run(args.run)
    print(format_results(result))
    return 1 if result.n_errors > args.max_errors else 0
