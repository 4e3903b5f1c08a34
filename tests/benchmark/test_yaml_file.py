"""A YAML is read into plain values, each with its line, or refused before it can do harm."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.costs import cpu_s

from avemo_harness.benchmark.yaml_file import (
    MAX_ALIASES,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    Document,
    key_name,
    read_yaml,
)
from avemo_harness.errors import TaskError

one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
words = st.text(string.ascii_lowercase, min_size=1, max_size=4).filter(lambda word: word not in {"on", "off", "y", "n"})
scalars = st.one_of(words, st.integers(-(2**60), 2**60), st.booleans(), st.none(), st.floats(allow_nan=False))
documents = st.dictionaries(
    words,
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)),
    max_size=4,
)
tokens = [": ", ":\n", "  ", "- ", "? ", ", ", "&a ", "*a", "!!", "!x ", "!!int ", "\\U", "---\n", "<<", "1:2", "0x"]
soup = st.lists(st.sampled_from([*tokens, *"ab[]{}|>'\"%#~1=.é\n\t\x85 "]), max_size=40).map("".join)


def read(folder: Path, text: str) -> Document:
    file = folder / "some.yaml"
    file.write_text(text, encoding="utf-8")
    return read_yaml(file)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("word", "word"),
        ("'3'", "3"),
        ("3", 3),
        ("0x10", 16),
        ("1.5", 1.5),
        ("true", True),
        ("~", None),
        ("2020-01-31", "2020-01-31"),
        ("=", "="),
        ("!!int three", "three"),
        ("9" * 30, "9" * 30),
        ("[a, {b: 1}]", ["a", {"b": 1}]),
        ('"\\ud83d\\ude10"', "😐"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_a_value_is_plain_data(tmp_path: Path, written: str, value: Any) -> None:
    document = read(tmp_path, f"a: {written}\n")
    assert document.values == {"a": value}
    assert type(document.values["a"]) is type(value)
    assert document.problems == ()


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    document = read(tmp_path, "# first\na:\n  b: 1\n  c:\n  - x\n  - y: 2\n")
    lines = {path: line for path, (_, line) in document.origins.items()}
    assert lines == {
        (): 1,
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "c"): 4,
        ("a", "c", 0): 5,
        ("a", "c", 1): 6,
        ("a", "c", 1, "y"): 6,
    }


def test_a_missing_value_stands_where_the_nearest_enclosing_one_does(tmp_path: Path) -> None:
    document = read(tmp_path, "a:\n  b: {c: 1}\n")
    assert document.origin(("a", "b", "d", 0)) == (tmp_path / "some.yaml", 2)
    assert document.origin(("z",)) == (tmp_path / "some.yaml", 1)


def test_key_paths_are_spelled_as_in_python() -> None:
    assert key_name(()) == ""
    assert key_name(("messages", 0, "content", 1, "text")) == "messages[0].content[1].text"


def test_the_first_of_two_equal_keys_counts_and_the_second_is_a_problem(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 1\nb: {c: 1, c: 2}\na: 2\n")
    assert document.values == {"a": 1, "b": {"c": 1}}
    assert [(problem.line, problem.key) for problem in document.problems] == [(2, "b.c"), (3, "a")]
    assert str(document.problems[1]) == f"{tmp_path / 'some.yaml'}:3: a: duplicate key, already given in line 1"


def test_an_alias_repeats_a_value_and_merge_keys_are_keys_like_others(tmp_path: Path) -> None:
    document = read(tmp_path, "a: &x {b: [1]}\nc: *x\nd:\n  <<: {e: 1}\n")
    assert document.values == {"a": {"b": [1]}, "c": {"b": [1]}, "d": {"<<": {"e": 1}}}


@pytest.mark.parametrize(
    ("fits", "exceeds", "said"),
    [
        ("a: 1\n#" + "x" * (MAX_BYTES - 6), "a: 1\n#" + "x" * (MAX_BYTES - 5), "more than the 32,768 bytes"),
        ("a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), "a: " + "[" * 24 + "]" * 24, "nested deeper"),
        (f"a: &x 1\nb: [{'*x,' * MAX_ALIASES}]", f"a: &x 1\nb: [{'*x,' * (MAX_ALIASES + 1)}]", "more than 50 aliases"),
        (f"a: [{'x,' * (MAX_VALUES - 1)}]", f"a: [{'x,' * MAX_VALUES}]", "more than 2,000 values"),
    ],
)
def test_a_limit_is_where_it_is_said_to_be(tmp_path: Path, fits: str, exceeds: str, said: str) -> None:
    assert "a" in read(tmp_path, fits).values
    with pytest.raises(TaskError, match=said):
        read(tmp_path, exceeds)


@pytest.mark.parametrize("unit", ["[", "{", "- ", "? ", "a: ", "&a [", "*a ", "'", '"', "!", "%", "a:\n", "a,", "|\n"])
@pytest.mark.parametrize("size", [MAX_BYTES, 2 * MAX_BYTES, 10_000_000])
def test_a_file_full_of_one_token_costs_no_more_than_some_that_are_read(
    tmp_path: Path, unit: str, size: int, cost_of_a_large_one: float
) -> None:
    file = tmp_path / "full.yaml"
    file.write_text(unit * (size // len(unit)))

    def refuse() -> None:
        with pytest.raises(TaskError):
            read_yaml(file)

    assert cpu_s(refuse, times=1) < 10 * cost_of_a_large_one


@pytest.fixture(scope="module")
def cost_of_a_large_one(tmp_path_factory: pytest.TempPathFactory) -> float:
    """CPU seconds for a file with as many values as may be."""
    file = tmp_path_factory.mktemp("large") / "large.yaml"
    file.write_text("".join(f"key{number}: word\n" for number in range(MAX_VALUES - 1)), encoding="utf-8")
    assert len(read_yaml(file).values) == MAX_VALUES - 1
    return cpu_s(lambda: read_yaml(file))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"nowhere\.yaml: cannot be read \(No such file"):
        read_yaml(tmp_path / "nowhere.yaml")
    with pytest.raises(TaskError, match="cannot be read"):
        read_yaml(tmp_path)


@one_folder
@given(documents)
def test_what_pyyaml_writes_is_read_as_it_was(tmp_path: Path, values: dict[str, Any]) -> None:
    document = read(tmp_path, yaml.safe_dump(values))
    assert document.values == values
    assert document.problems == ()


@one_folder
@given(st.one_of(soup.map(str.encode), st.text(max_size=200).map(str.encode), st.binary(max_size=200)))
def test_any_bytes_are_a_document_or_a_task_error_with_a_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.yaml"
    file.write_bytes(content)
    try:
        origins, refusal = read_yaml(file).origins, f"{file}:1:"
    except TaskError as error:
        origins, refusal = {}, str(error)
    assert re.match(rf"{re.escape(str(file))}:[1-9][0-9]*:", refusal)
    assert all(path[:-1] in origins for path in origins if path)
