"""`avemo-eval grade`: a model grades a run's answers by the rubric of their task."""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.cli.options import (
    Command,
    add_grader_options,
    add_moved_media_root,
    named_grader,
    releases_of_run,
)
from avemo_harness.cli.output import end_on_signals, say
from avemo_harness.errors import UsageError

GRADE_HELP = """Grade the answers of a run by the rubric of their task, with a model; answers are left untouched.

avemo-eval grade RUN                                                  what has no grade yet, or failed
avemo-eval grade RUN --grader openai --grader_args base_url=…,model=… the run is scored by this grader from now on

`avemo-eval score RUN` prints the table. An interrupted or failed grading is continued by the same command.
"""


def add_grade_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    add_grader_options(parser)
    parser.add_argument("--num_concurrent", type=int, metavar="N", help="requests under way, or given, at once")
    parser.add_argument("--device", help="where a neural grader runs, e.g. cuda:0")
    parser.add_argument(
        "--max_errors",
        type=int,
        default=0,
        metavar="N",
        help="answers without a grade that still count as success; 20 in a row that fail alike end the grading unless "
        "N is more",
    )
    add_moved_media_root(parser)


def execute_grade(args: argparse.Namespace) -> int:
    from avemo_harness.report.results import compute_results
    from avemo_harness.run.config import read_run
    from avemo_harness.run.grading import grade_answers

    if args.num_concurrent is not None and args.num_concurrent < 1:
        raise UsageError(f"--num_concurrent must be a whole number from 1 on; found {args.num_concurrent}")
    end_on_signals()
    releases = releases_of_run(read_run(args.run).config, args, say)
    named = named_grader(args)
    graders = grade_answers(
        args.run, named, releases, say, at_once=args.num_concurrent, device=args.device, max_errors=args.max_errors
    )
    if not graders:
        print("nothing to grade: no task of the run has the scorer `rubric`")
        return 0
    tasks = [task for task in compute_results(args.run).tasks.values() if task.grader is not None]
    for task in tasks:
        lacking = f", {task.n_ungraded} without a grade" if task.n_ungraded else ""
        shown = task.grader["shown"] if task.grader else ""
        print(f"{task.task}: {task.n_answered - task.n_ungraded} answers graded{lacking}, by {shown}")
    print(f"avemo-eval score {args.run}")
    return 1 if sum(task.n_ungraded for task in tasks) > args.max_errors else 0


COMMANDS = {"grade": Command(GRADE_HELP, add_grade_arguments, execute_grade)}
