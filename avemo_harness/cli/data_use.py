"""Choose the release that the benchmark's tasks are asked of.

`avemo-eval data use ID_OR_PATH` remembers it for later commands; without ID_OR_PATH it says which one is remembered.
--dataset and AVEMO_DATASET go before it.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `data use`."""
    parser.add_argument("release", nargs="?", metavar="ID_OR_PATH", help="Hub id, folder or Parquet file")


def execute(args: argparse.Namespace) -> int:
    """Remember a release, or print the remembered one."""
    from avemo_harness.benchmark.release_loader import remember_release, remembered_release

    if args.release is None:
        print(remembered_release() or "no release is remembered")
    else:
        print(f"remembered in {remember_release(args.release)}")
    return 0
