"""Options that several commands share: release, selection of questions, moved media."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from avemo_harness.run.config import RunConfig
    from avemo_harness.run.grading import NamedGrader
    from avemo_harness.run.prepare import RunReleases


class Command(NamedTuple):
    """A command or an action of one: description on its help page, options, and what returns the exit code.

    Args:
        forms: commands of their own that its first word names, where it also takes a path there: a folder of such a
            name is written as ``./name``.
    """

    description: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[argparse.Namespace], int]
    forms: Mapping[str, Command] = {}


class _OptionGroup(Protocol):
    def add_argument(self, *names: str, **settings: Any) -> argparse.Action: ...


def add_data_options(options: _OptionGroup) -> None:
    """Declare the options of `RunConfig` on releases and questions; those that are not given are None."""
    options.add_argument("--dataset", metavar="ID_OR_PATH", help="release, or table of a task: Hub id, folder or file")
    options.add_argument("--revision", help="Hub revision of the release")
    add_media_root(options, "folder of the clips that a release names by path")
    options.add_argument(
        "--streaming",
        action="store_true",
        default=None,
        help="download clips of a Hub release only when asked; with --limit, read only the first 1,000 rows of a table",
    )
    options.add_argument(
        "--limit",
        type=float,
        metavar="N",
        help="N dialogues, drawn in the split's shares of labels, or that share if below 1; the run can grow later",
    )
    options.add_argument("--ids", metavar="ID,…", help="only these dialogues, pairs or items")
    options.add_argument(
        "--where", action="append", metavar="FIELD=VALUE", help="only such turns, e.g. emotion=angry; may be repeated"
    )
    options.add_argument("--seed", type=int, help="seed of every random draw (default: 0)")


def add_media_root(options: _OptionGroup, usage: str) -> None:
    options.add_argument("--media_root", metavar="DIR", help=usage)


def add_moved_media_root(options: _OptionGroup) -> None:
    add_media_root(options, "folder of the clips that the run's release names by path (default: the run's)")


def add_grader_options(options: _OptionGroup) -> None:
    """Declare the grader of answers by a rubric; `named_grader` reads it."""
    options.add_argument(
        "--grader",
        metavar="MODEL",
        help="grades the answers of tasks with a rubric: a model's name (default: the one that graded this run before, "
        "the task's)",
    )
    options.add_argument(
        "--grader_args",
        metavar="K=V,…",
        help="the grader's own arguments; without --grader they join the task's. Its server gets a key only where "
        "api_key_env=VARIABLE stands here",
    )


def named_grader(args: argparse.Namespace) -> NamedGrader:
    """The grader that the command names."""
    from avemo_harness.registry import parse_arguments
    from avemo_harness.run.grading import NamedGrader

    return NamedGrader(args.grader, parse_arguments(args.grader_args or ""))


def releases_of_run(config: RunConfig, args: argparse.Namespace, say: Callable[[str], None]) -> RunReleases:
    """The releases of a run, whose clips may have moved since."""
    from dataclasses import replace

    from avemo_harness.run.prepare import RunReleases

    return RunReleases(replace(config, media_root=args.media_root or config.media_root), say)


def data_values(args: argparse.Namespace) -> dict[str, Any]:
    """The given ones of these options, by the names of `avemo_harness.run.config.RunConfig`."""
    names = ("dataset", "revision", "media_root", "streaming", "limit", "where", "seed")
    values = {**{name: getattr(args, name) for name in names}, "ids": split_commas(args.ids)}
    return {name: value for name, value in values.items() if value is not None}


def split_commas(text: str | None) -> tuple[str, ...] | None:
    """The parts of a list with commas; None where there is no list.

    >>> split_commas("a, b,")
    ('a', 'b')
    """
    return tuple(word.strip() for word in text.split(",") if word.strip()) if text else None
