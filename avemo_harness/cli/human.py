"""`avemo-eval human`: plan, serve, extend, import and analyze studies with raters."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.cli.options import Command, add_moved_media_root, add_options, read_options, releases_of_run
from avemo_harness.cli.output import say, show
from avemo_harness.errors import UsageError
from avemo_harness.text import aligned

if TYPE_CHECKING:
    from avemo_harness.human.analysis import HumanResult, Scores
    from avemo_harness.metrics.bootstrap import Estimate
    from avemo_harness.scorers.base import MetricValue

PLAN_HELP = (
    """Plan a study from runs: dialogues, gold items, traps, every rater's session, and the files, without any name."""
)


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    from avemo_harness.human.settings import StudyPlan

    parser.add_argument("runs", nargs="+", metavar="[LABEL=]RUN", help="run directories with spoken replies")
    parser.add_argument("--out", type=Path, required=True, metavar="STUDY", help="a new folder for the study")
    parser.add_argument("--task", metavar="NAME", help="whose replies are rated, where runs have several such tasks")
    add_options(parser, StudyPlan)
    add_moved_media_root(parser)


def execute_plan(args: argparse.Namespace) -> int:
    from avemo_harness.human.items import open_systems
    from avemo_harness.human.plan import INVITATIONS, make_study
    from avemo_harness.human.sessions import longest_session_s
    from avemo_harness.human.settings import StudyPlan

    plan = read_options(args, StudyPlan)
    for name in ("dialogues", "most_turns", "lease_minutes"):
        if getattr(plan, name) is not None and getattr(plan, name) <= 0:
            raise UsageError(f"--{name} must be above 0, found {getattr(plan, name)}")
    systems = open_systems(args.runs, args.task)
    release = releases_of_run(systems[0].run.config, args, say).load(systems[0].task)
    study = make_study(args.out, systems, release, plan, say)
    longest = longest_session_s(study)
    rated = sum(item.kind == "rated" for item in study.items)
    of = "one system" if len(systems) == 1 else f"{len(systems)} systems"
    print(f"{rated} items of {of}, {study.raters_an_item} raters each")
    print(f"{len(study.sessions)} sessions of up to {longest / 60:.0f} minutes, one a rater")
    if plan.golds is None:
        print("gold items: replies to other dialogues; better ones, which experts rated, come with --gold FILE.jsonl")
    print(f"study: {args.out}  ({INVITATIONS} and key.json are for you alone)")
    print(f"next: avemo-eval human serve {args.out}")
    return 0


SERVE_HELP = """Let people rate: the study's web pages, on this machine alone unless told otherwise."""


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=Path, metavar="STUDY", help="the folder of a study")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at")
    parser.add_argument("--port", type=int, default=8765, help="the port to listen at")
    parser.add_argument("--url", help="the address that raters use, such as https://ratings.example.org")


def execute_serve(args: argparse.Namespace) -> int:
    from avemo_harness.human.guards import bracketed, public_address, require_packages
    from avemo_harness.human.plan import INVITATIONS
    from avemo_harness.human.study import SCALES_VERSION, read_study

    require_packages()
    from avemo_harness.human.web import serve

    study = read_study(args.study)
    address = public_address(args.host, args.port, args.url)
    origin = args.url.rstrip("/") if args.url else f"http://{bracketed(args.host)}:{args.port}"
    if address.exposed:
        say(
            f"{origin} is not encrypted: whoever is on the way reads the invitations and ratings, and can rate in "
            "others' names; let a proxy with TLS stand before this server, and name it with --url https://..."
        )
    print(f"invitations: {origin}/join/TOKEN, one line of {args.study / INVITATIONS} a rater", flush=True)
    if study.scales_version != SCALES_VERSION:
        print(
            f"rated on the scales {study.scales_version}, as this study was planned: they stand under their own names, "
            "not as ER, EN and RR; plan a new study for those",
            flush=True,
        )
    print(f"{len(study.sessions)} sessions; Ctrl-C stops, the same command goes on", flush=True)
    serve(study, args.study, address, args.host, args.port)
    return 0


EXTEND_HELP = (
    """Ask for more raters, where some were left out by the plan's rules, went away, or could not play an item."""
)


def add_extend_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=Path, metavar="STUDY", help="the folder of a study; its server may be running")
    parser.add_argument(
        "--invitations", type=int, metavar="N", help="how many to add (default: two for each session that is added)"
    )


def execute_extend(args: argparse.Namespace) -> int:
    from avemo_harness.human.plan import INVITATIONS, extend_study
    from avemo_harness.human.study import read_study

    if args.invitations is not None and args.invitations < 0:
        raise UsageError(f"--invitations must be 0 or more, found {args.invitations}")
    done = extend_study(args.study, read_study(args.study), args.invitations)
    if done.lacking:
        print(f"{done.lacking} items will lack raters: {done.sessions} sessions added")
    else:
        print("every item has its raters, or will have them from sessions that are still open")
    if done.invitations:
        print(f"{done.invitations} invitations added at the end of {args.study / INVITATIONS}")
    return 0


IMPORT_HELP = (
    """Take in ratings from another tool, as CSV or JSON lines: of a study, or of the answers of a graded run."""
)


def add_import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=Path, metavar="STUDY", help="the folder of a study, or of a run that is graded")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="CSV with a first line of names, or .jsonl")
    parser.add_argument(
        "--columns",
        default="",
        metavar="FIELD=COLUMN,...",
        help="what the files call rater, item (or dialogue and system), scales, er, en, rr, repeat, seconds; of a run "
        "task, item, rater, rating",
    )
    parser.add_argument(
        "--scales",
        metavar="NAME",
        help="the wording of the scales that the files were rated on, where no column scales says it; ratings on any "
        "but the study's own are kept apart",
    )


def execute_import(args: argparse.Namespace) -> int:
    from avemo_harness.human.importing import import_ratings
    from avemo_harness.human.study import read_key, read_study
    from avemo_harness.registry import parse_arguments

    columns = parse_arguments(args.columns)
    if _is_run(args.study):
        return _import_into_run(args.study, args.files, columns, args.scales)
    study, key = read_study(args.study), read_key(args.study)
    for file in args.files:
        done = import_ratings(args.study, study, key, file, columns, args.scales)
        again = f", {done.known} were there already" if done.known else ""
        print(f"{file}: {done.added} ratings of {done.raters} raters{again}")
        for scales, number in done.apart.items():
            print(
                f"{number} of them on the scales {scales}, which are not the study's ({study.scales_version}): kept "
                "apart, under names of their own, and never averaged with the others"
            )
    print(f"next: avemo-eval human analyze {args.study}")
    return 0


def _is_run(folder: Path) -> bool:
    return (folder / "run.json").exists()


def _import_into_run(run: Path, files: Sequence[Path], columns: Mapping[str, str], scales: str | None) -> int:
    from avemo_harness.human.run_ratings import import_run_ratings

    if scales is not None:
        raise UsageError("--scales is for the wording of a study; answers of a run are rated on their rubric's scale")
    done = import_run_ratings(run, files, columns)
    print(f"{done.ratings} ratings of {done.answers} answers by {done.raters} raters")
    print(f"next: avemo-eval score {run}, which holds the grades against them")
    return 0


ANALYZE_HELP = """Compute ER, EN, RR and their mean with intervals, and how far the raters agree.

A run that cannot be written goes without its scores; the others get theirs, and the exit code is 1.
"""


def add_analyze_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=Path, metavar="STUDY", help="the folder of a study")


def execute_analyze(args: argparse.Namespace) -> int:
    from avemo_harness.human.analysis import HUMAN, analyze, write_result, write_tables
    from avemo_harness.human.ratings import read_collection
    from avemo_harness.human.study import read_key, read_study

    study, key = read_study(args.study), read_key(args.study)
    collection = read_collection(args.study, study)
    result = analyze(study, key, collection.ratings)
    refused = write_result(args.study, key, result, say)
    write_tables(args.study, key, collection, result)
    show("\n\n".join(part for scales in (result, *result.apart) for part in _result_parts(scales)))
    print(f"\nwritten: {args.study / HUMAN}, ratings.csv, raters.csv; avemo-eval score RUN shows the scores of a run")
    for error in refused:
        say(error.advise("leave that run without its scores"))
    return 1 if refused else 0


def _result_parts(result: HumanResult) -> list[str]:
    from avemo_harness.benchmark.published import PEOPLE
    from avemo_harness.report.scored_run import BENCHMARK_SCALES

    scores, everyone = result.scores, result.of_everyone
    lines = [f"{scores.ratings} of {result.planned} ratings by {scores.raters} raters, on the scales {result.scales}"]
    if result.scales != BENCHMARK_SCALES:
        lines.append(
            f"another wording than {BENCHMARK_SCALES}: these are no {', '.join(PEOPLE)}, and join none of theirs"
        )
    if result.short_items:
        lines.append(
            f"provisional: {result.short_items} items have fewer raters than planned (avemo-eval human extend)"
        )
    parts = ["\n".join(lines), _systems_table(scores)]
    if scores.differences:
        parts.append(_differences_table(scores))
    parts.append(_agreement_table(result))
    if result.excluded:
        left_out = [f"  {rater}: {'; '.join(reasons)}" for rater, reasons in result.excluded.items()]
        parts.append("\n".join([f"left out by the plan's rules: {len(left_out)} raters", *left_out]))
        parts.append(f"with them, {everyone.raters} raters:\n{_systems_table(everyone)}")
    return parts


def _systems_table(scores: Scores) -> str:
    rows = [["system", *next(iter(scores.systems.values()))]]
    for label, columns in scores.systems.items():
        rows += _estimate_rows(label, [columns[name] for name in rows[0][1:]])
    return "\n".join(aligned(rows))


def _differences_table(scores: Scores) -> str:
    rows = [["difference", *scores.differences[0].columns]]
    for difference in scores.differences:
        estimates = [difference.columns[name] for name in rows[0][1:]]
        rows += _estimate_rows(f"{difference.of} - {difference.to}", estimates, signed=True)
    return "\n".join(aligned(rows))


def _agreement_table(result: HumanResult) -> str:
    agreement = result.scores.agreement
    scales = agreement.values()
    rows = [
        ["agreement", *agreement],
        *_estimate_rows("Krippendorff's alpha", [scale.alpha for scale in scales]),
        *_estimate_rows("ICC(2,1)", [scale.icc_single for scale in scales]),
        *_estimate_rows("ICC(2,k)", [scale.icc_mean for scale in scales]),
    ]
    if result.repeats.n:
        repeats = result.repeats
        rows.append([f"same again, {repeats.n} repeats", *(_share(repeats.alike.get(name)) for name in agreement)])
        rows.append(["within one point", *(_share(repeats.within_one.get(name)) for name in agreement)])
    return "\n".join(aligned(rows))


def _estimate_rows(name: str, estimates: Sequence[MetricValue | Estimate], signed: bool = False) -> list[list[str]]:
    from avemo_harness.report.values import UNDEFINED, figure, span

    intervals = [
        UNDEFINED if value.ci_low is None or value.ci_high is None else span(value.ci_low, value.ci_high, signed=signed)
        for value in estimates
    ]
    return [[name, *(figure(value.value, signed=signed) for value in estimates)], ["95 % interval", *intervals]]


def _share(value: float | None) -> str:
    return "—" if value is None else f"{100 * value:.0f} %"


HUMAN_HELP = """Let people rate spoken replies, as the benchmark's table has it: ER, EN and RR on five points.

avemo-eval human plan    RUN [LABEL=RUN ...] --out STUDY     which dialogues, whose sessions, and the files
avemo-eval human serve   STUDY                               the web pages that raters see
avemo-eval human extend  STUDY                               more raters, where items would lack some
avemo-eval human import  STUDY RATINGS.csv                   ratings that were made with another tool
avemo-eval human import  RUN RATINGS.csv                     ratings to hold a run's grades by a model against
avemo-eval human analyze STUDY                               scores with intervals, and how far raters agree
"""


ACTIONS = {
    "plan": Command(PLAN_HELP, add_plan_arguments, execute_plan),
    "serve": Command(SERVE_HELP, add_serve_arguments, execute_serve),
    "extend": Command(EXTEND_HELP, add_extend_arguments, execute_extend),
    "import": Command(IMPORT_HELP, add_import_arguments, execute_import),
    "analyze": Command(ANALYZE_HELP, add_analyze_arguments, execute_analyze),
}


def add_human_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="{" + ",".join(ACTIONS) + "}")
    for name, action in ACTIONS.items():
        summary = action.description.splitlines()[0]
        action.add_arguments(actions.add_parser(name, help=summary, description=summary))


def execute_human(args: argparse.Namespace) -> int:
    from avemo_harness.human.study import permissions_warning

    folder = args.out if args.action == "plan" else args.study
    # A run holds no invitations and no expected answers, so that it need not be private.
    if not _is_run(folder) and (warning := permissions_warning(folder)):
        say(warning)
    return ACTIONS[args.action].execute(args)


COMMANDS = {"human": Command(HUMAN_HELP, add_human_arguments, execute_human)}
