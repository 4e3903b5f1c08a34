"""Compare runs on the same items, or what one run understood of voice and face together and apart.

avemo-eval compare A B [C ...]    every run with the first: paired differences, tests, flipped items
avemo-eval compare RUN            within a run: voice and face against voice alone against face alone
"""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.cli.output import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `compare`."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run directories")
    parser.add_argument(
        "--force", action="store_true", help="compare although tasks, releases or judges differ; says what differs"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to a JSON file, every item listed")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page for a browser")


def execute(args: argparse.Namespace) -> int:
    """Compare, print, write the files; returns the exit code."""
    from avemo_harness.paths import write_atomically
    from avemo_harness.report.compare.comparing import compare_conditions, compare_runs
    from avemo_harness.report.compare.text import format_comparison

    runs: list[Path] = args.runs
    comparison = compare_conditions(runs[0]) if len(runs) == 1 else compare_runs(runs, args.force)
    show(format_comparison(comparison))
    if args.json:
        write_atomically(args.json, comparison.to_json())
    if args.html:
        from avemo_harness.report.compare.page import comparison_page

        write_atomically(args.html, comparison_page(comparison))
    return 0
