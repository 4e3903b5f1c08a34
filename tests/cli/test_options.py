"""Fields of a dataclass as options: type, default and help are said once, and what is given comes back as the class."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import pytest

from avemo_harness.cli.options import add_options, add_overrides, given_options, option_words, read_options
from avemo_harness.data.importers import IMPORTERS, importer_options
from avemo_harness.errors import UsageError
from avemo_harness.options import option
from avemo_harness.run.config import RunConfig


@dataclass(frozen=True)
class Walk:
    """Every kind of option, and a field that is none: `secret`."""

    goal: str = field(metadata=option("where to", metavar="PLACE"))
    pace: Literal["slow", "fast"] = field(default="slow", metadata=option("how"))
    legs: int = field(default=2, metadata=option("to go on"))
    hours: float | None = field(default=None, metadata=option("at most"))
    map: Path | None = field(default=None, metadata=option("to look at", metavar="FILE"))
    dogs: bool = field(default=False, metadata=option("bring them"))
    stops: tuple[str, ...] = field(default=(), metadata=option("on the way", separator=","))
    friends: tuple[str, ...] = field(default=(), metadata=option("who come along", name="friend"))
    food: Mapping[str, Any] = field(default_factory=dict, metadata=option("how much of what", metavar="K=V,…"))
    secret: int = 7


NAMES = tuple(field.name for field in fields(Walk) if field.name != "secret")


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser, Walk, *NAMES)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--pace", "fast"], "pace", "fast"),
        (["--legs", "4"], "legs", 4),
        (["--hours", "1.5"], "hours", 1.5),
        (["--map", "a/b.png"], "map", Path("a/b.png")),
        (["--dogs"], "dogs", True),
        (["--stops", "inn, well,"], "stops", ("inn", "well")),
        (["--friend", "Ann", "--friend", "Bob, the tall"], "friends", ("Ann", "Bob, the tall")),
        (["--food", "bread=2,tea=hot"], "food", {"bread": "2", "tea": "hot"}),
    ],
)
def test_the_type_of_a_field_says_how_its_value_is_written(words: list[str], name: str, value: object) -> None:
    given = {"goal": "sea", name: value}
    assert read_options(parsed("--goal", "sea", *words), Walk) == Walk(**given)  # type: ignore[arg-type]  # by name


def test_what_is_not_given_is_the_default_of_the_field() -> None:
    assert read_options(parsed("--goal", "sea"), Walk) == Walk("sea")
    assert read_options(parsed("--goal", "sea", "--stops", "", "--food", ""), Walk) == Walk("sea")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: --goal"),
        (["--goal", "sea", "--legs", "two"], "argument --legs: invalid int value: 'two'"),
        (["--goal", "sea", "--pace", "idle"], "argument --pace: invalid choice: 'idle' (choose from 'slow', 'fast')"),
        (["--goal", "sea", "--secret", "1"], "unrecognized arguments: --secret 1"),
    ],
)
def test_a_wrong_word_is_refused_as_argparse_does(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed(*words)
    assert said in capsys.readouterr().err


def test_what_is_no_mapping_is_an_error_of_the_command() -> None:
    with pytest.raises(UsageError, match="'bread': arguments are written key=value"):
        read_options(parsed("--goal", "sea", "--food", "bread"), Walk)


def test_the_help_page_shows_options_in_the_order_of_their_names_with_help_and_default() -> None:
    parser = argparse.ArgumentParser("walk", formatter_class=argparse.ArgumentDefaultsHelpFormatter, add_help=False)
    add_options(parser, Walk, "legs", "dogs", "pace", "friends", "goal")
    lines = parser.format_help().partition("options:\n")[2].splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "--legs LEGS to go on (default: 2)",
        "--dogs bring them (default: None)",
        "--pace {slow,fast} how (default: slow)",
        "--friend FRIEND who come along (default: None)",
        "--goal PLACE where to (default: None)",
    ]


def test_overrides_of_a_file_have_no_default_so_that_only_what_is_given_overrides() -> None:
    parser = argparse.ArgumentParser()
    add_overrides(parser, Walk, *NAMES)
    assert given_options(parser.parse_args([]), Walk) == {}
    assert given_options(parser.parse_args(["--stops", "", "--food", ""]), Walk) == {}
    assert given_options(parser.parse_args(["--legs", "2", "--dogs"]), Walk) == {"legs": 2, "dogs": True}


def test_given_options_can_be_written_again() -> None:
    words = ["--goal", "sea", "--hours", "1.5", "--stops", "inn,well", "--friend", "Ann", "--friend", "B C", "--dogs"]
    names = ("goal", "hours", "dogs", "map", "stops", "friends")
    assert option_words(parsed(*words), Walk, *names) == words


def test_a_field_without_help_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Walk.secret has no help: declare it by field\(metadata=option\('…'\)\)"):
        add_options(argparse.ArgumentParser(), Walk)


@pytest.mark.parametrize(
    ("annotation", "default"), [(list[str], None), (int | str, 1), (tuple[int, ...], ()), (bool, True)]
)
def test_a_value_that_no_option_gives_is_refused(annotation: Any, default: object) -> None:
    kind = type("Odd", (), {"__annotations__": {"it": annotation}, "it": field(default=default, metadata=option("x"))})
    with pytest.raises(TypeError, match="it: no option gives a value of"):
        add_options(argparse.ArgumentParser(), dataclass(kind))


def test_every_option_of_a_run_can_be_given_in_words() -> None:
    words = {
        "model": "random",
        "tasks": "a,b",
        "model_args": "x=1",
        "dataset": "me/mine",
        "revision": "v1",
        "media_root": "clips",
        "include_path": "more",
        "limit": "0.5",
        "ids": "d1,d2",
        "where": "emotion=sad",
        "generation": "seed=1",
        "seed": "3",
    }
    parser = argparse.ArgumentParser()
    actions = add_overrides(parser, RunConfig)
    options = {action.dest: action.option_strings[0] for action in actions}
    given = [f"{options[name]}={word}" for name, word in words.items()]
    config = read_options(parser.parse_args([*given, "--streaming", "--skip_speech"]), RunConfig)
    assert {name for name in options if getattr(config, name) == RunConfig.__dataclass_fields__[name].default} == set()
    assert config.tasks == ("a", "b")
    assert config.generation == {"seed": "1"}


@pytest.mark.parametrize("name", IMPORTERS)
def test_every_importer_has_options_that_can_be_declared(name: str) -> None:
    actions = add_options(argparse.ArgumentParser(), importer_options(name))
    assert [action.dest for action in actions] == [field.name for field in fields(importer_options(name))]
