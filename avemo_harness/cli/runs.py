"""Commands on finished runs: judge, score, report, compare, leaderboard, export."""

from __future__ import annotations

import argparse
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.cli.judge_compare import JUDGE_COMPARE_HELP, add_judge_compare_arguments, execute_judge_compare
from avemo_harness.cli.judge_use import JUDGE_USE_HELP, add_judge_use_arguments, execute_judge_use
from avemo_harness.cli.options import Command, add_moved_media_root, add_options, read_options, releases_of_run
from avemo_harness.cli.output import say, show
from avemo_harness.errors import StorageError, UsageError
from avemo_harness.report.exports import FORMATS, Publication

if TYPE_CHECKING:
    from avemo_harness.report.results import RunResult

JUDGE_HELP = """Judge the spoken replies of a run with a recogniser, without a model; answers are left untouched.

avemo-eval judge RUN --recognizer JUDGE                                the run is scored by it from now on
avemo-eval judge compare RUN ... --recognizer A --recognizer B         whether judges agree; the scores stay
avemo-eval judge use JUDGE                                             remembers a judge for later commands

`avemo-eval score RUN` prints the table. A run whose folder is named `use` or `compare` is written as ./use, ./compare.
"""


def add_judge_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument(
        "--recognizer",
        metavar="JUDGE",
        help="a name of `avemo-eval ls judges`, with arguments as NAME:KEY=VALUE,…, or the folder of a trained "
        "recogniser (default: the one that judged the run before, AVEMO_JUDGE, `avemo-eval judge use`; of the built-in "
        "voice and face the embedded one)",
    )
    parser.add_argument("--device", help="where a neural recogniser runs, e.g. cuda:0")
    add_moved_media_root(parser)


def execute_judge(args: argparse.Namespace) -> int:
    from avemo_harness.run.config import read_run
    from avemo_harness.run.judge_choice import holds_replies
    from avemo_harness.run.prepare import find_judge, judge_replies

    if not holds_replies(args.run):
        print("nothing to judge: the run holds no spoken replies")
        return 0
    releases = releases_of_run(read_run(args.run).config, args, say)
    advice = find_judge(args.run, args.recognizer, releases).advice
    judgements = judge_replies(args.run, args.recognizer, releases, device=args.device)
    if judgements is None:
        raise UsageError(advice)
    if advice:
        say(advice)
    print(f"judged by {judgements.judge.name} ({judgements.judge.digest[:12]}); avemo-eval score {args.run}")
    return 0


SCORE_HELP = """Score a run again from its directory, without a model, print its table, and bring its report up to date.

Of a run that can only be read the table is printed, and nothing is stored.
"""


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument(
        "--max_errors", type=int, default=0, metavar="N", help="failed items that still count as success"
    )
    add_moved_media_root(parser)


def execute_score(args: argparse.Namespace) -> int:
    from avemo_harness.report.html.page import REPORT, write_report
    from avemo_harness.report.results import compute_results, score_run
    from avemo_harness.run.config import read_run

    try:
        result = score_run(args.run)
    except StorageError as error:
        if not error.forbidden:
            raise
        result = compute_results(args.run)
        _print_results(result, args.run)
        say(
            f"not stored: scores, results.json and the report, since {error.path} cannot be {error.action} "
            f"({error.reason.strerror}); to keep them, copy {shlex.quote(str(args.run))} to where you may write, and "
            "score the copy"
        )
    else:
        _print_results(result, args.run)
        if (args.run / REPORT).exists():
            write_report(args.run, releases=releases_of_run(read_run(args.run).config, args, say), say=say)
    return 1 if result.n_errors > args.max_errors else 0


def _print_results(result: RunResult, run: Path) -> None:
    from avemo_harness.report.scored_run import read_people
    from avemo_harness.report.summary import format_results
    from avemo_harness.run.config import read_run

    show(format_results(result, read_people(run), read_run(run)))


REPORT_HELP = """Write a run as one HTML page: figures with intervals, and every turn to look at and to listen to.

The page asks no server for anything. Small copies of some recordings are inside it, unless they must not be passed on.
"""


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    page = "the page (default: RUN/report.html)"
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-o", "--out", "--output_path", dest="output_path", type=Path, metavar="FILE", help=page)
    where.add_argument("--bundle", type=Path, metavar="DIR", help="a folder for the page with all recordings beside it")
    parser.add_argument("--no_media", action="store_true", help="no recordings")
    add_moved_media_root(parser)
    parser.add_argument("--figures", type=Path, metavar="DIR", help="also figures for papers, as PDF and PNG")


def execute_report(args: argparse.Namespace) -> int:
    from avemo_harness.report.html.page import REPORT, leave_out, write_report
    from avemo_harness.report.html.recordings import bundle, embed
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


COMPARE_HELP = """Compare runs on the same items, or what one run understood of voice and face together and apart.

avemo-eval compare A B [C ...]    every run with the first: paired differences, tests, flipped items
avemo-eval compare RUN            within a run: voice and face against voice alone against face alone
"""


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run directories")
    parser.add_argument(
        "--force",
        action="store_true",
        help="compare although tasks, releases, judges or graders differ; says what differs",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to a JSON file, every item listed")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page for a browser")


def execute_compare(args: argparse.Namespace) -> int:
    from avemo_harness.files import write_atomically
    from avemo_harness.report.compare import compare_conditions, compare_runs
    from avemo_harness.report.comparison import format_comparison

    runs: list[Path] = args.runs
    comparison = compare_conditions(runs[0]) if len(runs) == 1 else compare_runs(runs, args.force)
    show(format_comparison(comparison))
    if args.json:
        write_atomically(args.json, comparison.to_json())
    if args.html:
        from avemo_harness.report.comparison import comparison_page

        write_atomically(args.html, comparison_page(comparison))
    return 0


LEADERBOARD_HELP = """Show the rows of runs in the benchmark's table, and apart from them the published ones."""


def add_leaderboard_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="run directories")
    parser.add_argument("--recognizers", action="store_true", help="also the published tables about recognisers")


def execute_leaderboard(args: argparse.Namespace) -> int:
    from avemo_harness.report.board import EXPLANATION, boards, format_board, format_other_tables
    from avemo_harness.report.scored_run import read_scored_run, run_labels

    runs = [read_scored_run(folder) for folder in args.runs]
    names = run_labels([(run.result.model, run.folder) for run in runs])
    parts = [format_board(board) for board in boards(runs, names)]
    if args.recognizers:
        parts.append(format_other_tables())
    show("\n\n".join([*parts, "\n".join(EXPLANATION)]))
    return 0


EXPORT_HELP = """\
Write a run's results for the Hub, for papers and for other tools, or log them to an experiment tracker.

eval-results     .eval_results/*.yaml of the model's repository: one headline value a task
csv              a line for each metric
latex            the benchmark's table with the published rows and this run's
md               the same in Markdown, for a model card
"""


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument("--format", choices=tuple(FORMATS), help="what to write")
    parser.add_argument("-o", "--output_path", type=Path, metavar="DIR", help="where to; RUN/export by default")
    parser.add_argument("--allow_partial", action="store_true", help="also of a run that is not complete; it says so")
    add_options(parser, Publication)
    for tracker in ("trackio", "wandb"):
        parser.add_argument(f"--{tracker}", metavar="PROJECT", help=f"log the metrics to a project of {tracker}")


def execute_export(args: argparse.Namespace) -> int:
    from avemo_harness.files import write_atomically
    from avemo_harness.registry import load_object
    from avemo_harness.report.exports.formats import log_to, refuse_unfinished
    from avemo_harness.report.scored_run import read_scored_run

    if not (args.format or args.trackio or args.wandb):
        raise UsageError(f"say what to export: --format {'|'.join(FORMATS)}, --trackio PROJECT or --wandb PROJECT")
    run = read_scored_run(args.run)
    if not args.allow_partial:
        refuse_unfinished(run)
    if args.format:
        make = load_object(FORMATS[args.format])
        for name, text in make(run, read_options(args, Publication)).items():
            path = (args.output_path or args.run / "export") / name
            write_atomically(path, text)
            print(path)
    if args.trackio:
        log_to("trackio", args.trackio, args.run.resolve().name, run)
    if args.wandb:
        log_to("wandb", args.wandb, args.run.resolve().name, run)
    return 0


JUDGE_FORMS = {
    "compare": Command(JUDGE_COMPARE_HELP, add_judge_compare_arguments, execute_judge_compare),
    "use": Command(JUDGE_USE_HELP, add_judge_use_arguments, execute_judge_use),
}
"""Forms of `judge` by their first word."""

COMMANDS = {
    "judge": Command(JUDGE_HELP, add_judge_arguments, execute_judge, JUDGE_FORMS),
    "score": Command(SCORE_HELP, add_score_arguments, execute_score),
    "report": Command(REPORT_HELP, add_report_arguments, execute_report),
    "compare": Command(COMPARE_HELP, add_compare_arguments, execute_compare),
    "leaderboard": Command(LEADERBOARD_HELP, add_leaderboard_arguments, execute_leaderboard),
    "export": Command(EXPORT_HELP, add_export_arguments, execute_export),
}
