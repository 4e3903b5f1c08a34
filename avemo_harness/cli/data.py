"""`avemo-eval data`: use, build, conflicts, check and push releases; dispatch to `data import`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.cli.choices import add_forget_option, use_choice
from avemo_harness.cli.data_import import IMPORT_HELP, add_import_arguments, execute_import
from avemo_harness.cli.options import Command, add_options, read_options
from avemo_harness.cli.output import end_on_signals, say, show
from avemo_harness.errors import UsageError
from avemo_harness.files import cache_dir, require_new_folder, write_atomically

if TYPE_CHECKING:
    from avemo_harness.data.checks.keeping import Kept

USE_HELP = """Choose the release that the benchmark's tasks are asked of.

`avemo-eval data use ID_OR_PATH` remembers it for later commands; without ID_OR_PATH it says what is remembered, and
--forget forgets it. --dataset and AVEMO_DATASET go before it.

  avemo-eval data use ravdess=DIR       the folder of the corpus of that name, for the tasks that name it
  avemo-eval data use ravdess=          forgets it
"""


def add_use_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "release", nargs="?", metavar="ID_OR_PATH", help="Hub id, folder or Parquet file; NAME=DIR for a corpus"
    )
    add_forget_option(which)


def execute_use(args: argparse.Namespace) -> int:
    from avemo_harness.benchmark.corpora import named_source, remembered_corpora
    from avemo_harness.benchmark.release_loader import REMEMBERED, remember_release

    corpus, folder = named_source(args.release or "")
    if corpus:
        return _use_corpus(corpus, folder)
    code = use_choice(args, "release", REMEMBERED, remember_release)
    if args.release is None and not args.forget:
        for name, remembered in remembered_corpora().items():
            show(f"{name}={remembered}")
    return code


def _use_corpus(name: str, folder: str) -> int:
    """Remember the folder of a corpus, or forget it where none is given."""
    from avemo_harness.benchmark.columns import is_hub_id
    from avemo_harness.benchmark.corpora import REMEMBERED, remember_corpus
    from avemo_harness.files import forget_choice

    if not folder:
        forgotten = forget_choice(f"{REMEMBERED}/{name}")
        print(f"the corpus {name} is forgotten" if forgotten else f"no folder of the corpus {name} is remembered")
        return 0
    if not Path(folder).expanduser().exists() and not is_hub_id(folder):
        raise UsageError(f"{name}={folder}: no such folder, and not a Hub id (owner/name)")
    print(f"remembered in {remember_corpus(name, folder)}")
    return 0


BUILD_HELP = """Build a release of the benchmark's shape: dialogues are written, spoken, animated and packaged.

  avemo-eval data build --out my_release                  by the built-in tools, in the default sizes
  avemo-eval data build dreamtalk --out my_release        by a recipe; --list prints them
  avemo-eval data build build.yaml --out my_release       as a configuration of your own says

The same command goes on where a build was interrupted. What is made so far lies in my_release.work, which may be
deleted when the release is complete. Exit code 1: units failed, and their dialogues were left out.
"""


_MAX_PRINTED_FAILURES = 5


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", nargs="?", metavar="RECIPE", help="a recipe (--list) or a YAML file")
    parser.add_argument("--list", action="store_true", help="print the recipes and where they lie, and build nothing")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the release")
    parser.add_argument("--retry_failed", action="store_true", help="make units again that failed before")
    parser.add_argument("--workers", type=int, metavar="N", help="units made at a time (default: the configuration's)")


def execute_build(args: argparse.Namespace) -> int:
    from avemo_harness.data.pipeline.config import RECIPES, BuildConfig, open_recipe, recipe_summaries

    if args.list:
        summaries = recipe_summaries()
        show("\n".join(f"{name:<{max(map(len, summaries))}}  {summary}" for name, summary in summaries.items()))
        show(f"copy one from {RECIPES} to change it")
        return 0
    from avemo_harness.data.pipeline.build import build_release

    if args.out is None:
        raise UsageError("the following arguments are required: --out")
    config = BuildConfig() if args.recipe is None else open_recipe(args.recipe)
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
    for unit, why in list(result.failed.items())[:_MAX_PRINTED_FAILURES]:
        show(f"  {unit}: {why}")
    return 1


CONFLICTS_HELP = """\
Make conflict pairs of a release: the sound of one clip with the face of another by the same speaker.

  avemo-eval data conflicts RELEASE --out DIR       a copy of the release with the pairs
  avemo-eval data conflicts RELEASE --in_place      the pairs are added to the folder

Labels are opposite, durations within a second, and as many pairs are made as can be, each in both orders, with a clip
in one pair at most. They are written as the config <config>_conflict.
"""


def add_conflicts_arguments(parser: argparse.ArgumentParser) -> None:
    from avemo_harness.data.conflict_pairs import PairingRules

    parser.add_argument("release", metavar="RELEASE", help="folder or Hub id")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, metavar="DIR", help="a new folder for a copy with the pairs")
    where.add_argument("--in_place", action="store_true", help="add the pairs to the folder itself")
    parser.add_argument("--config", metavar="NAME", help="config to pair (default: the only one)")
    add_options(parser, PairingRules)
    parser.add_argument("--revision", metavar="REVISION", help="of a Hub id: branch, tag or commit")


def execute_conflicts(args: argparse.Namespace) -> int:
    from avemo_harness.benchmark.release import CONFLICT
    from avemo_harness.data.conflict_pairs import (
        PairingRules,
        add_pairs,
        choose_config,
        copy_release,
        fetch_release,
        pair_release,
    )

    if args.in_place and not Path(args.release).expanduser().is_dir():
        raise UsageError(f"{args.release}: --in_place needs the folder of a release; give --out DIR for a copy of one")
    if args.out is not None:
        require_new_folder(args.out)
    folder = fetch_release(args.release, args.revision)
    config = choose_config(folder, args.config)
    pairs = pair_release(folder, config, read_options(args, PairingRules), say)
    if args.out is not None:
        copy_release(folder, args.out.expanduser())
    target = folder if args.in_place else args.out.expanduser()
    add_pairs(target, config, pairs)
    print(f"{sum(map(len, pairs.values())):,} conflict pairs written to {target / (config + CONFLICT)}")
    return 0


CHECK_HELP = """\
Check a release: rows, media, speakers, balance, leaks, conflict pairs, and whether others agree with the labels.

  avemo-eval data check RELEASE
  avemo-eval data check RELEASE --report RELEASE/checks.json             `data push` puts it into the card
  avemo-eval data check RELEASE --votes votes.csv --drop majority --write_kept DIR

votes.csv has a row for each vote: clip (its digest) or dialogue and turn, rater, modality (sound, face or both), label.
A check passes, warns, fails, or cannot tell, as with too few clips. Exit code 1: one failed.
"""


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    from avemo_harness.data.checks.findings import CheckOptions

    parser.add_argument("release", metavar="RELEASE", help="folder or Hub id")
    add_options(parser, CheckOptions, "config", "media_root")
    parser.add_argument("--revision", metavar="REVISION", help="of a Hub id: branch, tag or commit")
    add_options(parser, CheckOptions, "noise", "votes", "recognizer", "drop")
    parser.add_argument("--write_kept", type=Path, metavar="DIR", help="a new folder for the confirmed dialogues")
    parser.add_argument("--report", type=Path, metavar="FILE.json", help="everything that was found")


def execute_check(args: argparse.Namespace) -> int:
    from avemo_harness.benchmark.conditions import ConditionCache
    from avemo_harness.data.checks.checking import check_release
    from avemo_harness.data.checks.findings import CheckOptions
    from avemo_harness.data.checks.keeping import write_kept
    from avemo_harness.data.conflict_pairs import fetch_release

    if args.write_kept is not None:
        if args.config is not None:
            raise UsageError("--write_kept writes a whole release; leave out --config")
        require_new_folder(args.write_kept.expanduser())
    folder = fetch_release(args.release, args.revision)
    conditions = ConditionCache(cache_dir() / "conditions")
    checked = check_release(folder, read_options(args, CheckOptions), conditions, say)
    conditions.prune()
    for config, found in checked.configs.items():
        show(f"{config}:")
        for finding in found.findings:
            show(f"  {finding.verdict:<11}  {finding.check}: {finding.summary}")
    if args.report is not None:
        write_atomically(args.report.expanduser(), json.dumps(checked.to_json(), indent=1) + "\n")
        show(f"the report is in {args.report}")
    if args.write_kept is not None:
        show(_kept_lines(write_kept(checked, args.write_kept), args.write_kept))
    return 1 if checked.failed else 0


def _kept_lines(kept: Kept, folder: Path) -> str:
    parts = [
        f"{split.config}, {split.split}: {split.dialogues_kept:,} of {split.dialogues:,} dialogues, "
        f"{split.pairs_kept:,} of {split.pairs:,} conflict pairs"
        for split in kept.splits
    ]
    return "\n".join([f"kept by {kept.rule} ({kept.by}) in {folder}:", *(f"  {part}" for part in parts)])


PUSH_HELP = """Share a release on the Hugging Face Hub, with its card and leaderboards.

  avemo-eval data push my_release OWNER/NAME --revision_tag v1
  avemo-eval data push my_release OWNER/NAME --ids_only          rows and digests, no clips

Every row and clip is checked first, and what must not be passed on is refused. The folder stays as it is. Log in with
`hf auth login` before.
"""


def add_push_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("release", type=Path, metavar="DIR", help="folder of the release")
    parser.add_argument("repo", metavar="OWNER/NAME", help="data set on the Hub; made where there is none")
    parser.add_argument("--revision_tag", metavar="TAG", help="name for the commit, such as v1")
    parser.add_argument("--private", action="store_true", help="nobody else may see it")
    parser.add_argument("--ids_only", action="store_true", help="ids, texts, labels and digests, but no clips")
    parser.add_argument(
        "--acknowledge_restricted", action="store_true", help="you have made sure that you may share what is restricted"
    )


def execute_push(args: argparse.Namespace) -> int:
    from avemo_harness.benchmark.task_library import TaskLibrary
    from avemo_harness.data.sharing.push import push_release
    from avemo_harness.data.sharing.repository import PushTarget
    from avemo_harness.scorers import METRICS

    folder = args.release.expanduser()
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected the folder of a release; check the path")
    target = PushTarget(args.repo, args.revision_tag, args.private)
    library = TaskLibrary(METRICS)
    tasks = [task.spec for task in library.load(["*"])]
    groups = {entry.name: library.load_group(entry.name) for entry in library.groups}
    restricted = {
        name
        for spec in tasks
        if spec.dataset.corpus and (of := groups.get(spec.group or "")) and of.benchmark and of.benchmark.restricted
        for name in (spec.dataset.corpus, spec.dataset.corpus.replace("_", "-"))
    }
    pushed = push_release(
        folder, target, tasks, say, "ids" if args.ids_only else "whole", args.acknowledge_restricted, restricted
    )
    print(f"{pushed.files} files, {pushed.size / 1e6:,.1f} MB: {pushed.url}")
    print(f"commit {pushed.commit}" + (f", tagged {target.tag}" if target.tag else ""))
    media = " --media_root DIR" if pushed.publication.needs_media else ""
    names = ",".join(pushed.publication.tasks) or "TASKS"
    print(f"avemo-eval --model MODEL --tasks {names} --dataset {target.repo} --revision {pushed.commit}{media}")
    return 0


DATA_HELP = """Make, import, check and share releases, and choose the one that the benchmark's tasks are asked of."""


ACTIONS = {
    "use": ("remember a release for later commands", Command(USE_HELP, add_use_arguments, execute_use)),
    "build": (
        "make a release: write, speak, animate, package",
        Command(BUILD_HELP, add_build_arguments, execute_build),
    ),
    "import": ("make a release of a corpus that you have", Command(IMPORT_HELP, add_import_arguments, execute_import)),
    "conflicts": (
        "pair clips whose sound and face disagree",
        Command(CONFLICTS_HELP, add_conflicts_arguments, execute_conflicts),
    ),
    "check": (
        "look for mistakes and leaks, and verify labels",
        Command(CHECK_HELP, add_check_arguments, execute_check),
    ),
    "push": ("share a release on the Hugging Face Hub", Command(PUSH_HELP, add_push_arguments, execute_push)),
}


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar=f"{{{','.join(ACTIONS)}}}")
    for name, (summary, action) in ACTIONS.items():
        action.add_arguments(
            actions.add_parser(
                name, help=summary, description=action.description, formatter_class=parser.formatter_class
            )
        )


def execute_data(args: argparse.Namespace) -> int:
    end_on_signals()
    return ACTIONS[args.action][1].execute(args)


COMMANDS = {"data": Command(DATA_HELP, add_data_arguments, execute_data)}
