"""Options of commands: fields of dataclasses bound to argparse, and options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from dataclasses import Field

    from _typeshed import DataclassInstance

    from avemo_harness.run.config import RunConfig
    from avemo_harness.run.grading import NamedGrader
    from avemo_harness.run.releases import RunReleases

DATA_OPTIONS = ("dataset", "revision", "media_root", "streaming", "limit", "ids", "where", "seed")
"""Options of `RunConfig` that say which questions are asked, in the order of help pages."""


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


OptionsT = TypeVar("OptionsT", bound="DataclassInstance")


def add_options(options: _OptionGroup, kind: type[DataclassInstance], *names: str) -> list[argparse.Action]:
    """Declare options for the named fields of a dataclass, or for all; one without a default must be given.

    A ``bool`` is a flag, a ``Literal`` a choice, a ``tuple[str, …]`` repeated or separated as its metadata says, and a
    ``Mapping[str, …]`` is written ``key=value,…``; text, numbers and paths are what they are.

    Raises:
        TypeError: a field lacks the metadata of `option`, or no option can give such a value.
    """
    from dataclasses import MISSING, fields
    from typing import get_type_hints

    types, by_name = get_type_hints(kind), {field.name: field for field in fields(kind)}
    actions = []
    for name in names or by_name:
        field = by_name[name]
        if not field.metadata.get("help"):
            raise TypeError(f"{kind.__name__}.{name} has no help: declare it by field(metadata=option('…'))")
        if field.default is field.default_factory is MISSING:
            presence: dict[str, Any] = {"required": True}
        else:
            # What is nothing stays away from the help page and becomes the field's default when it is read.
            presence = {"default": (None if field.default is MISSING else field.default) or None}
        settings = {**presence, **_settings(field, types[name])}
        actions.append(options.add_argument(f"--{field.metadata['name'] or name}", dest=name, **settings))
    return actions


def add_overrides(options: _OptionGroup, kind: type[DataclassInstance], *names: str) -> list[argparse.Action]:
    """Declare options as `add_options` does, but for values that a file may give too: none has a default here."""
    actions = add_options(options, kind, *names)
    for action in actions:
        action.required, action.default = False, None
    return actions


def _settings(field: Field[Any], annotation: Any) -> dict[str, Any]:
    """The settings of a field's option that follow from its type.

    Raises:
        TypeError: there is no option of such a type.
    """
    from pathlib import Path
    from types import UnionType
    from typing import Literal, Union, get_args, get_origin

    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    values = [member for member in members if member is not type(None)]
    kind = values[0] if len(values) == 1 else annotation
    metadata = field.metadata
    text = {"help": metadata["help"], "metavar": metadata["metavar"] or (metadata["name"] or field.name).upper()}
    if kind is bool and field.default is False:
        return {"help": text["help"], "action": "store_true"}
    if get_origin(kind) is Literal:
        return {"help": text["help"], "choices": get_args(kind)}
    if kind == tuple[str, ...]:
        return {**text, "action": "store" if metadata["separator"] else "append"}
    if kind is str or get_origin(kind) is Mapping:
        return text
    if kind in (int, float, Path):
        return {**text, "type": kind}
    raise TypeError(f"{field.name}: no option gives a value of {annotation} whose default is {field.default!r}")


def given_options(args: argparse.Namespace, kind: type[DataclassInstance]) -> dict[str, Any]:
    """The values of a dataclass' options that were given, by field.

    Raises:
        UsageError: text that is to hold ``key=value,…`` does not.
    """
    from dataclasses import fields
    from typing import get_origin, get_type_hints

    from avemo_harness.registry import parse_arguments

    types, values = get_type_hints(kind), {}
    for field in fields(kind):
        value = getattr(args, field.name, None) if "help" in field.metadata else None
        if isinstance(value, str) and get_origin(types[field.name]) is Mapping:
            value = parse_arguments(value) if value else None
        elif isinstance(value, str) and field.metadata["separator"]:
            value = _split(value, field.metadata["separator"]) if value else None
        elif isinstance(value, list):
            value = tuple(value)
        if value is not None:
            values[field.name] = value
    return values


def read_options(args: argparse.Namespace, kind: type[OptionsT]) -> OptionsT:
    """The dataclass of the given options; fields that are not given have their defaults.

    Raises:
        UsageError: text that is to hold ``key=value,…`` does not.
    """
    return kind(**given_options(args, kind))


def option_words(args: argparse.Namespace, kind: type[DataclassInstance], *names: str) -> list[str]:
    """The words of a command line that give these options again, flags last."""
    from dataclasses import fields

    by_name = {field.name: field for field in fields(kind)}
    words, flags = [], []
    for name in names:
        value, spelled = getattr(args, name), f"--{by_name[name].metadata['name'] or name}"
        if isinstance(value, bool):
            flags += [spelled] * value
        elif value is not None:
            for part in value if isinstance(value, list) else [value]:
                whole = isinstance(part, float) and part.is_integer()
                words += [spelled, str(int(part) if whole else part)]
    return words + flags


def _split(text: str, separator: str) -> tuple[str, ...]:
    """The parts of a text that are not empty.

    >>> _split("a, b,", ",")
    ('a', 'b')
    """
    return tuple(word.strip() for word in text.split(separator) if word.strip())


def add_moved_media_root(options: _OptionGroup) -> None:
    usage = "folder of the clips that the run's release names by path (default: the run's)"
    options.add_argument("--media_root", metavar="DIR", help=usage)


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

    from avemo_harness.run.releases import RunReleases

    return RunReleases(replace(config, media_root=args.media_root or config.media_root), say)
