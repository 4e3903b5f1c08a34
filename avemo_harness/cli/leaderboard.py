"""Show the rows of runs in the benchmark's table, and apart from them the published ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.cli.output import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `leaderboard`."""
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="run directories")
    parser.add_argument("--recognizers", action="store_true", help="also the published tables about recognisers")


def execute(args: argparse.Namespace) -> int:
    """Print the table of each split that the paper or a run has; returns the exit code."""
    from avemo_harness.report.board import boards
    from avemo_harness.report.board_text import EXPLANATION, format_board, format_other_tables
    from avemo_harness.report.results_file import read_finished_run
    from avemo_harness.report.run_labels import run_labels

    runs = [read_finished_run(folder) for folder in args.runs]
    names = run_labels([(run.result.model, run.folder) for run in runs])
    parts = [format_board(board) for board in boards(runs, names)]
    if args.recognizers:
        parts.append(format_other_tables())
    show("\n\n".join([*parts, "\n".join(EXPLANATION)]))
    return 0
