"""Plan a study from runs: dialogues, gold items, traps, every rater's session, and the files, without any name."""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.cli.data_options import add_moved_media_root, releases_of_run
from avemo_harness.cli.output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `human plan`."""
    from avemo_harness.human.planning import PRESETS, StudyPlan

    usual = StudyPlan()
    parser.add_argument("runs", nargs="+", metavar="[LABEL=]RUN", help="run directories with spoken replies")
    parser.add_argument("--out", type=Path, required=True, metavar="STUDY", help="a new folder for the study")
    parser.add_argument("--task", metavar="NAME", help="whose replies are rated, where runs have several such tasks")
    parser.add_argument("--title", default=usual.title, help="what raters see")
    parser.add_argument("--consent", type=Path, metavar="FILE.txt", help="what raters agree to, by paragraphs")
    parser.add_argument(
        "--preset", choices=tuple(PRESETS), default=usual.preset, help="30 dialogues, or the paper's 15"
    )
    parser.add_argument("--dialogues", type=int, metavar="N", help="instead of the preset's")
    parser.add_argument(
        "--raters", type=int, default=usual.raters_an_item, metavar="N", help="raters of every item, 5 or more"
    )
    parser.add_argument("--gold", type=Path, metavar="FILE.jsonl", help="gold items that experts rated on these scales")
    parser.add_argument(
        "--most_turns", type=int, default=usual.most_turns, metavar="N", help="user turns of a dialogue shown"
    )
    parser.add_argument(
        "--lease_minutes", type=float, default=usual.lease_minutes, help="silence after which a session is re-issued"
    )
    parser.add_argument("--seed", type=int, default=usual.seed, help="of every draw")
    add_moved_media_root(parser)


def execute(args: argparse.Namespace) -> int:
    """Plan the study, say what it asks of people; returns the exit code."""
    from avemo_harness.errors import UsageError
    from avemo_harness.human.planning import CONSENT, INVITATIONS, StudyPlan, make_study
    from avemo_harness.human.schedule import longest_session_s
    from avemo_harness.human.systems import open_systems

    for name in ("dialogues", "most_turns", "lease_minutes"):
        if getattr(args, name) is not None and getattr(args, name) <= 0:
            raise UsageError(f"--{name} must be above 0, found {getattr(args, name)}")
    systems = open_systems(args.runs, args.task)
    release = releases_of_run(systems[0].run.config, args, say).load(systems[0].task)
    plan = StudyPlan(
        title=args.title,
        consent=_paragraphs(args.consent) if args.consent else CONSENT,
        preset=args.preset,
        dialogues=args.dialogues,
        raters_an_item=args.raters,
        golds=args.gold,
        most_turns=args.most_turns,
        lease_minutes=args.lease_minutes,
        seed=args.seed,
    )
    study = make_study(args.out, systems, release, plan, say)
    longest = longest_session_s(study)
    rated = sum(item.kind == "rated" for item in study.items)
    of = "one system" if len(systems) == 1 else f"{len(systems)} systems"
    print(f"{rated} items of {of}, {study.raters_an_item} raters each")
    print(f"{len(study.sessions)} sessions of up to {longest / 60:.0f} minutes, one a rater")
    if args.gold is None:
        print("gold items: replies to other dialogues; better ones, which experts rated, come with --gold FILE.jsonl")
    print(f"study: {args.out}  ({INVITATIONS} and key.json are for you alone)")
    print(f"next: avemo-eval human serve {args.out}")
    return 0


def _paragraphs(path: Path) -> tuple[str, ...]:
    from avemo_harness.errors import UsageError

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); name a text file in UTF-8") from error
    paragraphs = tuple(" ".join(part.split()) for part in text.split("\n\n") if part.strip())
    if not paragraphs:
        raise UsageError(f"{path}: is empty; write what raters agree to, with whom they can ask")
    return paragraphs
