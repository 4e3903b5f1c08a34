"""Make conflict pairs of a release: the sound of one clip with the face of another by the same speaker.

  avemo-eval data conflicts RELEASE --out DIR       a copy of the release with the pairs
  avemo-eval data conflicts RELEASE --in_place      the pairs are added to the folder

Labels are opposite, durations within a second, and as many pairs are made as can be, each in both orders, with a clip
in one pair at most. They are written as the config <config>_conflict.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from avemo_harness.cli.output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from avemo_harness.build.conflicts import Polarity, Sharing

    parser.add_argument("release", metavar="RELEASE", help="folder or Hub id")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, metavar="DIR", help="a new folder for a copy with the pairs")
    where.add_argument("--in_place", action="store_true", help="add the pairs to the folder itself")
    parser.add_argument("--config", metavar="NAME", help="config to pair (default: the only one)")
    parser.add_argument(
        "--polarity",
        choices=get_args(Polarity),
        default="valence",
        help="valence: happy with sad or angry; strict: happy with sad; any: all unequal labels",
    )
    parser.add_argument(
        "--sharing",
        choices=get_args(Sharing),
        help="what both clips have in common: the speaker, or also what is said and what was said before "
        "(default: transcript for configs that end in _synthetic, else speaker)",
    )
    parser.add_argument("--media_root", type=Path, metavar="DIR", help="folder of clips that are named by path")
    parser.add_argument("--revision", metavar="REVISION", help="of a Hub id: branch, tag or commit")


def execute(args: argparse.Namespace) -> int:
    """Pair and write."""
    from avemo_harness.benchmark.release import CONFLICT
    from avemo_harness.build.importers.writing import require_new_folder
    from avemo_harness.build.release_conflicts import (
        PairingRules,
        add_pairs,
        choose_config,
        copy_release,
        fetch_release,
        pair_release,
    )
    from avemo_harness.errors import UsageError

    if args.in_place and not Path(args.release).expanduser().is_dir():
        raise UsageError(f"{args.release}: --in_place needs the folder of a release; give --out DIR for a copy of one")
    if args.out is not None:
        require_new_folder(args.out)
    folder = fetch_release(args.release, args.revision)
    config = choose_config(folder, args.config)
    pairs = pair_release(folder, config, PairingRules(args.polarity, args.sharing, args.media_root), say)
    if args.out is not None:
        copy_release(folder, args.out.expanduser())
    target = folder if args.in_place else args.out.expanduser()
    add_pairs(target, config, pairs)
    print(f"{sum(map(len, pairs.values())):,} conflict pairs written to {target / (config + CONFLICT)}")
    return 0
