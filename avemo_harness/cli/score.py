"""Score a run again from its directory, without a model, print its table, and bring its report up to date."""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.cli.output import say, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `score`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument(
        "--max_errors", type=int, default=0, metavar="N", help="failed items that still count as success"
    )


def execute(args: argparse.Namespace) -> int:
    """Score, print the results, return the exit code."""
    from avemo_harness.report.results import score_run
    from avemo_harness.report.results_file import read_people
    from avemo_harness.report.table import format_results
    from avemo_harness.reporting import REPORT, write_report

    result = score_run(args.run)
    show(format_results(result, read_people(args.run)))
    if (args.run / REPORT).exists():
        write_report(args.run, say=say)
    return 1 if result.n_errors > args.max_errors else 0
