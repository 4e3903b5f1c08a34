"""`avemo-eval data import`: options of the importers, the import, and its report."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.cli.options import add_options, given_options
from avemo_harness.cli.output import say, show
from avemo_harness.errors import UsageError
from avemo_harness.files import require_new_folder

if TYPE_CHECKING:
    from avemo_harness.data.importers.base import ImportedCorpus

IMPORT_HELP = """Import a corpus as a release of the benchmark.

  avemo-eval data import ravdess     DIR_OR_ARCHIVE --labels all          for the tasks of that corpus
  avemo-eval data import ravdess     DIR_OR_ARCHIVE --out my_release
  avemo-eval data import multidialog IVLLab/MultiDialog --video DIR --out my_release

SOURCE is a folder, an archive (zip, tar, tar.gz), a folder of archives, or a Hub id. Dialogues are written as the
config multiturn_real, talks without an assistant as conversations, single clips as singleturn_synthetic (real ones
too: the tasks of single turns read that config); `--config` chooses another. Clips of a corpus that must not be passed
on stay outside of the release, which then holds their digests and paths; `--embed` puts them in, for your own use. Of
every clip each condition is made once; one that does not fit is encoded anew, and one that is damaged is left out with
its dialogue, of conversations by itself, and listed at the end.
Without --out the release goes where the tasks that name the corpus look for it, below AVEMO_CACHE, clips and all.
Exit code 1: more than `--max_bad` of the clips were left out.
"""


_MAX_PRINTED_FILES = 200
"""Bad files that are named in the terminal."""


def add_import_arguments(parser: argparse.ArgumentParser) -> None:
    from avemo_harness.data.importers import IMPORTERS, importer_options

    importers = parser.add_subparsers(dest="importer", required=True, metavar=f"{{{','.join(IMPORTERS)}}}")
    for name in IMPORTERS:
        importer = importers.add_parser(name, formatter_class=parser.formatter_class)
        importer.add_argument("source", metavar="SOURCE", help="folder, archive, folder of archives, or Hub id")
        importer.add_argument(
            "--out", type=Path, metavar="DIR", help="a new folder for the release (default: see above)"
        )
        importer.add_argument("--config", metavar="NAME", help="config to write (default: see above)")
        importer.add_argument("--embed", action="store_true", help="put the clips into the Parquet files")
        importer.add_argument(
            "--max_bad", type=_share, default=0.05, metavar="SHARE", help="of the clips, that may be bad (default: 5%%)"
        )
        importer.add_argument("--strict", action="store_true", help="end at the first bad clip")
        importer.add_argument("--skip_damaged", action="store_true", help="go on past bad clips, as without --strict")
        importer.add_argument("--revision", metavar="REVISION", help="of a Hub id: branch, tag or commit")
        add_options(importer, importer_options(name))


def execute_import(args: argparse.Namespace) -> int:
    from avemo_harness.data.importers import find_corpus, importer_options
    from avemo_harness.data.importers.base import BY_DEFAULT
    from avemo_harness.data.importers.source import HubFiles, open_source
    from avemo_harness.data.importers.writing import ImportSettings, require_config_name, write_import

    at_home = args.out is None
    if at_home:
        args.out, args.embed = _home_of(args.importer), True
    require_new_folder(args.out)
    if args.config is not None:
        require_config_name(args.config)
    given = given_options(args, importer_options(args.importer))
    # An empty text, as of a shell variable that is not set, is the default.
    options = importer_options(args.importer)(**{name: value for name, value in given.items() if value != ""})
    with open_source(args.source, args.revision) as source:
        found = find_corpus(args.importer, source, options)
        settings = ImportSettings(
            importer=args.importer,
            source=args.source,
            commit=source.files.commit if isinstance(source.files, HubFiles) else None,
            options={name: str(value) for name, value in asdict(options).items() if BY_DEFAULT.get(name) != value},
            clips="inside" if args.embed or found.about.redistributable else "outside",
            on_damage="refuse" if args.strict else "leave out",
            config=args.config,
        )
        imported = write_import(found, args.out, settings, say)
    _report(imported, args, at_home)
    return 1 if imported.bad_share > args.max_bad else 0


def _home_of(importer: str) -> Path:
    """The folder of the corpus in the home of corpora, for an importer (UsageError: it is there already)."""
    from avemo_harness.benchmark.corpora import corpora_home

    if importer == "folder":
        raise UsageError("a folder of clips has no name of its own: say where its release goes with --out DIR")
    name = importer.replace("-", "_")
    home = corpora_home() / name
    if home.exists():
        raise UsageError(
            f"{home} holds an import of {importer} already; give --out DIR, and say which one is asked by "
            f"`avemo-eval data use {name}=DIR`, or move it away"
        )
    return home


def _report_home(importer: str) -> None:
    """Say which tasks can be asked now that a corpus is in the home of corpora."""
    corpus = importer.replace("-", "_")
    groups = _groups_of(corpus)
    if not groups:
        show(f"no shipped task names the corpus {corpus}; your own do by `dataset: {{corpus: {corpus}, name: CONFIG}}`")
    for group in groups:
        show(f"  avemo-eval --model MODEL --tasks {group}")


def _groups_of(corpus: str) -> list[str]:
    """The groups of the shipped tasks that ask of a corpus by its name."""
    from avemo_harness.benchmark.task_library import TaskLibrary
    from avemo_harness.scorers import METRICS

    tasks = TaskLibrary(METRICS).tasks_of_corpus(corpus)
    return list(dict.fromkeys(entry.group or entry.name for entry in tasks))


def _share(text: str) -> float:
    """A share from 0 to 1, also in percent."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a share such as 0.05 or 5%, found {text!r}")
    return share


def _report(imported: ImportedCorpus, args: argparse.Namespace, at_home: bool) -> None:
    from avemo_harness.benchmark.published import SPLITS
    from avemo_harness.benchmark.release import SplitCounts
    from avemo_harness.data.importers.writing import MEDIA, count_reasons
    from avemo_harness.data.sharing.records import IMPORT_RECORD

    if imported.bad_files:
        share = f"{imported.bad_share:.1%}, allowed are {args.max_bad:.1%}"
        show(f"{len(imported.bad_files):,} of {imported.checked:,} clips cannot be used ({share}):")
        for name, reason in islice(imported.bad_files.items(), _MAX_PRINTED_FILES):
            show(f"  {name}: {reason}")
        if len(imported.bad_files) > _MAX_PRINTED_FILES:
            more = len(imported.bad_files) - _MAX_PRINTED_FILES
            show(f"  … and {more:,} more: {args.out / IMPORT_RECORD} names all")
        for reason, count in count_reasons(imported.bad_files):
            show(f"  {count:,} × {reason}")
    for dropped in imported.found.dropped:
        show(f"left out {dropped.count:,}: {dropped.reason}")
    for note in imported.found.notes:
        show(note)
    config = args.config or imported.found.config
    for part, dialogues in imported.dialogues.items():
        turns = SplitCounts.of(dialogues).user_turns
        pairs = len(imported.pairs.get(part, ()))
        show(f"{config}, {part}: {len(dialogues):,} dialogues, {turns:,} user turns, {pairs:,} conflict pairs")
    if at_home:
        show(f"written to {args.out}, where the tasks of this corpus find it:")
        _report_home(args.importer)
        return
    named = not (args.embed or imported.found.about.redistributable or (args.out / MEDIA).is_dir())
    root = f" --media_root {args.source}" if named else ""
    show(f"written to {args.out}; ask about it with --dataset {args.out}{root}")
    if hasattr(args, "test_speakers") and set(imported.dialogues) == {"test"}:
        show("all speakers are tested; --test_speakers NAME,… leaves the others to train a judge and a baseline on")
    corpus = args.importer.replace("-", "_")
    if str(getattr(args, "labels", "")).startswith("all") and (groups := _groups_of(corpus)):
        # Labels of the corpus' own are asked by its own tasks; the benchmark's know four.
        for group in groups:
            words = ["--model", "MODEL", "--tasks", group, "--dataset", f"{corpus}={args.out}"]
            show(f"  {shlex.join(['avemo-eval', *words, *(['--media_root', args.source] if named else [])])}")
    elif config in SPLITS:
        words = ["--model", "baseline", "--tasks", config, "--dataset", str(args.out)]
        show(f"  {shlex.join(['avemo-eval', *words, *(['--media_root', args.source] if named else [])])}")
