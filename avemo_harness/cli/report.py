"""Write a run as one HTML page: figures with intervals, and every turn to look at and to listen to.

The page asks no server for anything. Small copies of some recordings are inside it, unless they must not be passed on.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from avemo_harness.cli.data_options import add_moved_media_root, releases_of_run
from avemo_harness.cli.output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `report`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    page = "the page (default: RUN/report.html)"
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-o", "--out", "--output_path", dest="output_path", type=Path, metavar="FILE", help=page)
    where.add_argument("--bundle", type=Path, metavar="DIR", help="a folder for the page with all recordings beside it")
    parser.add_argument("--no_media", action="store_true", help="no recordings")
    add_moved_media_root(parser)
    parser.add_argument("--figures", type=Path, metavar="DIR", help="also figures for papers, as PDF and PNG")


def execute(args: argparse.Namespace) -> int:
    """Write the page and the figures, print where they are; returns the exit code."""
    from avemo_harness.errors import UsageError
    from avemo_harness.report.html.recordings import bundle, embed
    from avemo_harness.reporting import REPORT, leave_out, write_report
    from avemo_harness.run.config import read_run

    if args.bundle and args.no_media:
        raise UsageError("--bundle is for recordings and --no_media leaves them out; give one of them")
    gather = partial(bundle, folder=args.bundle) if args.bundle else leave_out if args.no_media else embed
    page = args.bundle / REPORT if args.bundle else args.output_path
    releases = releases_of_run(read_run(args.run).config, args, say)
    print(write_report(args.run, page, gather=gather, releases=releases, say=say))
    if args.figures:
        from avemo_harness.report.figures import draw_figures

        for path in draw_figures(args.run, args.figures):
            print(path)
    return 0
