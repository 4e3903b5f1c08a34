"""Tables of text as corpora bring them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.corpora.parts import parse_part
from avemo_harness.recognizers.corpora.tables import Table, read_table


def table(tmp_path: Path, text: str, delimiter: str = ",") -> Table:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    return read_table(path, delimiter)


def test_columns_are_found_by_name_without_regard_to_case_and_blanks(tmp_path: Path) -> None:
    found = table(tmp_path, "\ufeffTime;FM1 ; ff2\n0.0;0.5;-1\n\n0.04;NaN;\n", ";")
    assert found.columns == ("time", "fm1", "ff2")
    assert [row.line for row in found.rows] == [2, 4]
    values = found.numbers([found.find("ff2"), found.find("time")])
    np.testing.assert_array_equal(values, [[-1, 0], [np.nan, 0.04]])
    assert found.text(found.rows[0], "fm1") == "0.5"
    assert found.text(found.rows[0], "face") == ""


def test_one_of_several_names_will_do(tmp_path: Path) -> None:
    found = table(tmp_path, "user,group\n1,2\n")
    assert found.find("user_id", "user") == 0
    assert found.has("dyad", "group")
    assert not found.has("dyad")


def test_cells_that_are_missing_at_the_end_are_empty(tmp_path: Path) -> None:
    assert table(tmp_path, "a,b,c\n1\n1,2,3,,\n").rows[0].cells == ("1", "", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found an empty one"),
        ("a,A\n1,2\n", "column 'a' occurs twice"),
        ("a,b\n1,2,3\n", r"a\.csv:2: 1 cells more than columns"),
    ],
)
def test_a_malformed_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        table(tmp_path, text)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="put the file there"):
        read_table(tmp_path / "b.csv", ",")


def test_a_missing_column_and_a_word_among_numbers_are_told(tmp_path: Path) -> None:
    found = table(tmp_path, "arousal,valence\n0.1,0.2\n0.1,high\n")
    with pytest.raises(ReleaseError, match=r"expected a column 'arousl', found arousal, valence; nearest: 'arousal'"):
        found.find("arousl")
    with pytest.raises(ReleaseError, match=r"a\.csv:3: expected numbers .*high"):
        found.numbers([1])


def test_parts_go_by_several_names() -> None:
    names = ["Train", "training", "dev", "Development", "validation", "valid", "TEST", "Test1", "Test 2"]
    assert [parse_part(name, "x:1") for name in names] == ["train"] * 2 + ["validation"] * 4 + ["test"] * 3
    with pytest.raises(ReleaseError, match="x:1: expected one of the parts"):
        parse_part("trial", "x:1")
