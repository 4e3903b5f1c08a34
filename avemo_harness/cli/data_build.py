"""Build a release of the benchmark's shape: dialogues are written, spoken, animated and packaged.

  avemo-eval data build --out my_release                  by the built-in tools, in the default sizes
  avemo-eval data build CONFIG.yaml --out my_release      as the configuration says

The same command goes on where a build was interrupted. What is made so far lies in my_release.work, which may be
deleted when the release is complete. Exit code 1: units failed, and their dialogues were left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.cli.output import say, show

_MOST_TOLD = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `data build`."""
    parser.add_argument("config", type=Path, nargs="?", metavar="CONFIG.yaml", help="see examples/build")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the release")
    parser.add_argument("--retry_failed", action="store_true", help="make units again that failed before")
    parser.add_argument("--workers", type=int, metavar="N", help="units made at a time (default: the configuration's)")


def execute(args: argparse.Namespace) -> int:
    """Build; print what the release holds and what failed."""
    from avemo_harness.build.pipeline.build import build_release
    from avemo_harness.build.pipeline.config import BuildConfig, load_config
    from avemo_harness.errors import UsageError

    config = BuildConfig() if args.config is None else load_config(args.config)
    if args.workers is not None:
        if args.workers < 1:
            raise UsageError("--workers must be at least 1")
        config = config.model_copy(update={"workers": args.workers})
    result = build_release(config, args.out, say, retry_failed=args.retry_failed)
    for split, count in result.dialogues.items():
        show(f"{split}: {count} dialogues, {result.pairs.get(split, 0)} conflict pairs")
    show(f"the release is in {args.out}")
    if not result.failed:
        return 0
    show(f"{len(result.failed)} units failed, and their dialogues were left out; --retry_failed makes them again:")
    for unit, why in list(result.failed.items())[:_MOST_TOLD]:
        show(f"  {unit}: {why}")
    return 1
