"""Check a release: rows, media, speakers, balance, leaks, conflict pairs, and whether others agree with the labels.

  avemo-eval data check RELEASE
  avemo-eval data check RELEASE --report RELEASE/checks.json             `data push` puts it into the card
  avemo-eval data check RELEASE --votes votes.csv --drop majority --write_kept DIR

votes.csv has a row for each vote: clip (its digest) or dialogue and turn, rater, modality (sound, face or both), label.
A check passes, warns, fails, or cannot tell, as with too few clips. Exit code 1: one failed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from avemo_harness.cli.output import say, show

if TYPE_CHECKING:
    from avemo_harness.build.checks.base import Finding
    from avemo_harness.build.checks.checking import CheckOptions
    from avemo_harness.build.checks.keeping import Kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `data check`."""
    from avemo_harness.benchmark.task import NoiseName
    from avemo_harness.build.checks.opinions import Rule

    parser.add_argument("release", metavar="RELEASE", help="folder or Hub id")
    parser.add_argument("--config", metavar="NAME", help="check this config alone")
    parser.add_argument("--media_root", type=Path, metavar="DIR", help="folder of clips that are named by path")
    parser.add_argument("--revision", metavar="REVISION", help="of a Hub id: branch, tag or commit")
    parser.add_argument(
        "--noise",
        choices=get_args(NoiseName),
        default="speech_shaped",
        help="what replaces speech under video_only",
    )
    parser.add_argument("--votes", type=Path, metavar="FILE.csv", help="raters' votes on clips")
    parser.add_argument(
        "--recognizer",
        default="fusion",
        metavar="NAME|DIR",
        help="what verifies labels: a recogniser that learns from the other speakers of the release, or "
        "the folder of one trained by `avemo-eval recognizer`",
    )
    parser.add_argument(
        "--drop",
        choices=get_args(Rule),
        help="which clips are not confirmed: those whose label is not named by most raters, by all of them, or by the "
        "recogniser (default: majority with --votes, else recognizer)",
    )
    parser.add_argument("--write_kept", type=Path, metavar="DIR", help="a new folder for the confirmed dialogues")
    parser.add_argument("--report", type=Path, metavar="FILE.json", help="everything that was found")


def execute(args: argparse.Namespace) -> int:
    """Check; print a line for each check."""
    from avemo_harness import paths
    from avemo_harness.benchmark.conditions import ConditionCache
    from avemo_harness.build.checks.checking import check_release
    from avemo_harness.build.checks.keeping import write_kept
    from avemo_harness.build.importers.writing import require_new_folder
    from avemo_harness.build.release_conflicts import fetch_release
    from avemo_harness.errors import UsageError

    if args.write_kept is not None:
        if args.config is not None:
            raise UsageError("--write_kept writes a whole release; leave out --config")
        require_new_folder(args.write_kept.expanduser())
    folder = fetch_release(args.release, args.revision)
    conditions = ConditionCache(paths.cache_dir() / "conditions")
    checked = check_release(folder, _options(args), conditions, say)
    conditions.prune()
    for config, found in checked.configs.items():
        show(f"{config}:")
        for finding in found.findings:
            show(_line(finding))
    if args.report is not None:
        paths.write_atomically(args.report.expanduser(), json.dumps(checked.to_json(), indent=1) + "\n")
        show(f"the report is in {args.report}")
    if args.write_kept is not None:
        show(_told(write_kept(checked, args.write_kept), args.write_kept))
    return 1 if checked.failed else 0


def _options(args: argparse.Namespace) -> CheckOptions:
    from avemo_harness.build.checks.checking import CheckOptions

    return CheckOptions(
        config=args.config,
        media_root=args.media_root,
        noise=args.noise,
        recognizer=args.recognizer,
        votes=args.votes,
        rule=args.drop or ("majority" if args.votes else "recognizer"),
    )


def _line(finding: Finding) -> str:
    return f"  {finding.verdict:<11}  {finding.check}: {finding.summary}"


def _told(kept: Kept, folder: Path) -> str:
    parts = [
        f"{one.config}, {one.split}: {one.dialogues_kept:,} of {one.dialogues:,} dialogues, {one.pairs_kept:,} of "
        f"{one.pairs:,} conflict pairs"
        for one in kept.splits
    ]
    return "\n".join([f"kept by {kept.rule} ({kept.by}) in {folder}:", *(f"  {part}" for part in parts)])
