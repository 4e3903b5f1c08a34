"""Choices that are remembered for later commands, as by `data use` and `judge use`, and what comes next."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avemo_harness.cli.output import show
from avemo_harness.files import forget_choice, read_choice


def add_forget_option(options: Any) -> None:
    options.add_argument("--forget", action="store_true", help="remember none any more")


def use_choice(args: argparse.Namespace, noun: str, file: str, remember: Callable[[str], Path]) -> int:
    """Remember, forget or print a choice; returns the exit code.

    Args:
        noun: the argument that names the choice.
        file: that the choice is remembered in.
    """
    chosen: str | None = getattr(args, noun)
    if chosen is not None:
        print(f"remembered in {remember(chosen)}")
    elif args.forget:
        print(f"the {noun} is forgotten" if forget_choice(file) else f"no {noun} is remembered")
    else:
        print(read_choice(file) or f"no {noun} is remembered")
    return 0


def show_unjudged_runs(recognizer: str | None = None) -> None:
    """Print the commands by which a judge, the remembered one by default, judges the runs here that have none."""
    from avemo_harness.run.judge_choice import unjudged_runs

    named = [] if recognizer is None else ["--recognizer", recognizer]
    if runs := list(unjudged_runs(Path("runs"))):
        show("replies here that have no judge yet:")
        for run in runs:
            show(f"  {shlex.join(['avemo-eval', 'judge', str(run), *named])}")
