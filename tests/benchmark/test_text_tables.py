"""Tables of text as corpora bring them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.corpus_trees import LFS_POINTER

from avemo_harness.benchmark.text_tables import Table, decode_text, parse_table, read_beginning, read_table
from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.recordings import parse_part

WORD = st.text(st.characters(codec="utf-16", exclude_categories=("Cc", "Cs")), max_size=6)


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


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("usual", [",", ";"])
@pytest.mark.parametrize("first", ["", "sep={}\r\n", '"sep={}"\n'])
def test_cells_are_separated_by_what_the_header_has(delimiter: str, usual: str, first: str, tmp_path: Path) -> None:
    lines = ("name,words", 'ann,"1;2,3\t|4"')
    text = first.format(delimiter) + "\n".join(line.replace(",", delimiter, 1) for line in lines)
    found = table(tmp_path, text, usual)
    assert found.columns == ("name", "words")
    assert found.rows[0].cells == ("ann", "1;2,3\t|4")
    assert found.rows[0].line == (3 if first else 2)


def test_a_header_of_one_cell_is_one_column(tmp_path: Path) -> None:
    found = table(tmp_path, "name\nAnn; Bob\n", ",")
    assert (found.columns, found.rows[0].cells) == (("name",), ("Ann; Bob",))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_a_table_is_read_in_the_encodings_of_spreadsheets(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("name,city\nZoë,Köln\n".encode(encoding))
    found = read_table(path, ",")
    assert (found.columns, found.rows[0].cells) == (("name", "city"), ("Zoë", "Köln"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04\x14\0\0\0", r"a\.csv: expected text, found an Excel workbook"),
        (b"\xff\xfea", r"a\.csv: begins as utf-16 and is not"),
        (b"a,b\n1,\0\n", r"a\.csv: expected text, found bytes of 0"),
        (LFS_POINTER.encode(), r"a\.csv: .*run git lfs pull"),
    ],
)
def test_what_is_no_text_is_named(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(ReleaseError, match=message):
        read_table(path, ",")


@given(st.binary(max_size=80))
def test_whatever_bytes_are_there_become_text_or_one_sentence(data: bytes) -> None:
    try:
        text = decode_text(data, "a.csv")
    except ReleaseError:
        return
    assert "\0" not in text


@given(st.lists(st.tuples(WORD, WORD), max_size=4), st.sampled_from([",", ";", "\t", "|"]))
def test_a_written_table_is_read_back(rows: list[tuple[str, str]], delimiter: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([("one", "two"), *rows])
    found = parse_table(Path("a.csv"), decode_text(text.getvalue().encode("utf-16"), "a.csv"), ",")
    assert [row.cells for row in found.rows] == [tuple(map(str.strip, row)) for row in rows if any(map(str.strip, row))]


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


@pytest.mark.parametrize("text", ['a,"open\nb,c\n', 'a,"open\nb,"closed"\nc,d\n'])
def test_a_quotation_mark_that_is_not_closed_swallows_no_rows(text: str, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"a\.csv:2: a quotation mark .* is not closed.*goes on to line 3"):
        table(tmp_path, f"name,text\n{text}")


def test_cells_may_hold_quotation_marks_and_lines(tmp_path: Path) -> None:
    found = table(tmp_path, 'name,text\r\na,"He said ""no"",\r\nand left"\r\nb,5" of "snow"\r\n')
    assert [row.cells for row in found.rows] == [("a", 'He said "no",\r\nand left'), ("b", '5" of "snow"')]


def test_a_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"PAR1\x15\x04\x15\x00")
    with pytest.raises(ReleaseError, match="found a Parquet file; save the table as CSV"):
        read_table(tmp_path / "a.csv", ",")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_the_beginning_of_a_table_is_read_to_the_end_of_a_row(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes('name;said\nä;"one\nline; more"\nb;two\nc;three\n'.encode(encoding))
    rows = read_beginning(file, ",", 2).rows
    assert [row.cells for row in rows][:2] == [("ä", "one\nline; more"), ("b", "two")]
    assert len(rows) == (3 if encoding == "utf-16" else 2)
