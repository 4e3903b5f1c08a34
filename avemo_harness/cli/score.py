"""Score a run again from its directory, without a model, print its table, and bring its report up to date.

Of a run that can only be read the table is printed, and nothing is stored.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.cli.data_options import add_moved_media_root, releases_of_run
from avemo_harness.cli.output import say, show
from avemo_harness.errors import StorageError

if TYPE_CHECKING:
    from avemo_harness.report.results import RunResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `score`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument(
        "--max_errors", type=int, default=0, metavar="N", help="failed items that still count as success"
    )
    add_moved_media_root(parser)


def execute(args: argparse.Namespace) -> int:
    """Score, print the results, return the exit code."""
    from avemo_harness.report.results import compute_results, score_run
    from avemo_harness.reporting import REPORT, write_report
    from avemo_harness.run.config import read_run

    try:
        result = score_run(args.run)
    except StorageError as error:
        if not error.forbidden:
            raise
        result = compute_results(args.run)
        _show(result, args.run)
        say(
            f"not stored: scores, results.json and the report, since {error.path} cannot be {error.done} "
            f"({error.reason.strerror}); to keep them, copy {shlex.quote(str(args.run))} to where you may write, and "
            "score the copy"
        )
    else:
        _show(result, args.run)
        if (args.run / REPORT).exists():
            write_report(args.run, releases=releases_of_run(read_run(args.run).config, args, say), say=say)
    return 1 if result.n_errors > args.max_errors else 0


def _show(result: RunResult, run: Path) -> None:
    from avemo_harness.report.results_file import read_people
    from avemo_harness.report.table import format_results

    show(format_results(result, read_people(run)))
