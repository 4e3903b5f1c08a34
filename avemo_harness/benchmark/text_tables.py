"""Tables of text as corpora bring them: any delimiter, any encoding, columns by name."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import ReleaseError
from avemo_harness.files import check_file, read_file
from avemo_harness.registry import hint

# UTF-32 first: its mark of little-endian order begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of Excel files, new and old."""
_PARQUET = b"PAR1"
_C1 = re.compile("[\x80-\x9f]")


def decode_text(data: bytes, where: str) -> str:
    """Text in UTF-8, in UTF-16 or UTF-32 (with their marks, or UTF-16 without), or else in Windows' code page 1252.

    Also where somebody took one of UTF-8 and 1252 for the other on the way.

    Args:
        where: file, for the message.

    Raises:
        ReleaseError: it is no text, or not in the encoding that its mark names.

    >>> [decode_text("it’s".encode(name), "") for name in ("utf-8-sig", "cp1252", "utf-16")]
    ['it’s', 'it’s', 'it’s']
    >>> decode_text("it\\x92s".encode(), "")
    'it’s'
    """
    if data.startswith(_WORKBOOKS):
        raise ReleaseError(f"{where}: expected text, found an Excel workbook or an archive; save the table as CSV")
    if data.startswith(_PARQUET):
        raise ReleaseError(f"{where}: expected text, found a Parquet file; save the table as CSV")
    encoding = _wide_encoding(data)
    try:
        text = data.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise ReleaseError(f"{where}: begins as {encoding} and is not ({error}); save it as UTF-8") from error
        text = data.decode("cp1252", errors="replace")
    if "\0" in text:
        raise ReleaseError(f"{where}: expected text, found bytes of 0 in it; save the table as CSV in UTF-8")
    # Control characters of that range do not occur in text: they are bytes of 1252 that were read as Latin-1.
    return _C1.sub(lambda found: found[0].encode("latin-1").decode("cp1252", errors="replace"), text)


def path_spellings(path: str) -> tuple[str, ...]:
    """Spellings of a path: as it is, with the slashes of Windows, and with accents composed (NFC) or not (NFD).

    >>> path_spellings("a\\\\b.wav")
    ('a\\\\b.wav', 'a/b.wav')
    """
    slashed = path.replace("\\", "/")
    composed, decomposed = (unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))
    return tuple(dict.fromkeys((path, slashed, composed, decomposed)))


def _wide_encoding(data: bytes) -> str | None:
    """The encoding of two or four bytes a character; None for all others."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    # The first characters of a table are ASCII: every other byte is 0.
    if data[1:8:2] == b"\0\0\0\0":
        return "utf-16-le"
    return "utf-16-be" if data[0:8:2] == b"\0\0\0\0" else None


_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_EXCEL_DELIMITER = re.compile(r'"?sep=([,;\t|])"?\r?\n', re.IGNORECASE)
"""The line that Excel writes before a header, and hides."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row and the line that it ends on, counted from 1. Cells are in the order of the columns, blanks cut off."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table. Names of columns are lower case without blanks around them; rows without any text are left out.

    Args:
        header: names of the columns as the file writes them.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    header: tuple[str, ...]

    def has(self, *names: str) -> bool:
        """True where a column has one of these names."""
        return any(name in self.columns for name in names)

    def find(self, *names: str) -> int:
        """Index of the column that has one of these names.

        Raises:
            ReleaseError: there is none.
        """
        for name in names:
            if name in self.columns:
                return self.columns.index(name)
        raise ReleaseError(
            f"{self.path}: expected a column {' or '.join(map(repr, names))}, found {', '.join(self.columns)}"
            f"{hint(names[0], self.columns) if len(names) == 1 else ''}; name it so in the first line"
        )

    def text(self, row: Row, name: str) -> str:
        """A cell of an optional column; empty where the table has no such column."""
        return row.cells[self.columns.index(name)] if name in self.columns else ""

    def numbers(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """The columns of these indices as numbers, (rows, columns); NaN where a cell is empty or says so.

        Raises:
            ReleaseError: a cell is not a number.
        """
        values = np.empty((len(self.rows), len(columns)))
        for row_index, row in enumerate(self.rows):
            try:
                values[row_index] = [float(row.cells[column] or "nan") for column in columns]
            except ValueError as error:
                raise ReleaseError(f"{self.path}:{row.line}: expected numbers ({error}); correct the line") from error
        return values


def read_table(path: Path, delimiter: str) -> Table:
    """Read a table; cells that are missing at the end of a row are empty.

    Raises:
        ReleaseError: the file is missing or empty, names a column twice, or has more cells in a row.
    """
    return parse_table(path, read_text(path), delimiter)


def read_text(path: Path) -> str:
    """Read the text of a table, in whatever encoding.

    Raises:
        ReleaseError: the file is missing or no text.
    """
    try:
        data = read_file(path)
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror}); put the file there") from error
    return decode_text(data, str(path))


def read_beginning(path: Path, delimiter: str, rows: int) -> Table:
    """Read a table's first rows, at most `rows`, without reading further; else as `read_table`."""
    found: list[bytes] = []

    def lines() -> Iterator[str]:
        for line in handle:
            found.append(line)
            # Delimiters, quotes and ends of lines are the same bytes in all encodings but the wide ones.
            yield line.decode("latin-1")

    try:
        check_file(path)
        with open(path, "rb") as handle:
            first = handle.readline()
            if _wide_encoding(first) is not None:
                return read_table(path, delimiter)
            handle.seek(0)
            used = _find_delimiter(first.decode("latin-1"), delimiter)
            # What is wrong with them is told by the one that parses them.
            with suppress(csv.Error):
                for _ in islice(csv.reader(lines(), delimiter=used), rows + 1):
                    pass
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror}); put the file there") from error
    return parse_table(path, decode_text(b"".join(found), str(path)), delimiter)


def whole_number(text: str) -> int | None:
    """A number as counts and indices are written, also after a program took them for floats; None for anything else.

    >>> whole_number("3"), whole_number("0.0"), whole_number("1.5"), whole_number("-1")
    (3, 0, None, None)
    """
    # 18 digits fit any counter; int() refuses numbers of thousands of digits in its own way.
    match = re.fullmatch(r"([0-9]{1,18})(?:\.0*)?", text)
    return int(match[1]) if match else None


def parse_table(path: Path, text: str, delimiter: str) -> Table:
    """Make a table of the text of a file.

    Args:
        path: how messages call the file.
        delimiter: what is usual between the cells; another is taken where the header has that, and not this one.

    Raises:
        ReleaseError: the text is empty or not a table, names a column twice, or has more cells in a row.
    """
    try:
        used = _find_delimiter(text, delimiter)
        lines = list(io.StringIO(text, newline=""))
        reader = csv.reader(lines, delimiter=used)
        if _EXCEL_DELIMITER.match(text):
            next(reader)
        header = next(reader, [])
        rows = []
        before = reader.line_num
        for cells in reader:
            _require_closed_quotes(path, lines, before, reader.line_num, used)
            rows.append(Row(reader.line_num, tuple(cell.strip() for cell in cells)))
            before = reader.line_num
    except csv.Error as error:
        raise ReleaseError(
            f"{path}: not a table ({error}); save it as text with {_DELIMITER_NAMES[delimiter]} between cells"
        ) from error
    columns = tuple(name.strip().lower() for name in header)
    if not any(columns):
        raise ReleaseError(f"{path}: expected the names of the columns in the first line, found an empty one")
    if twice := sorted(name for name in set(columns) if name and columns.count(name) > 1):
        raise ReleaseError(f"{path}: column {twice[0]!r} occurs twice; names must differ")
    filled = []
    for row in rows:
        extra = len(row.cells) - len(columns)
        if any(row.cells[len(columns) :]):
            raise ReleaseError(
                f"{path}:{row.line}: {extra} cells more than columns in the first line, separated by "
                f"{_DELIMITER_NAMES[used]}; correct the line"
            )
        if any(row.cells):
            filled.append(Row(row.line, (*row.cells, *[""] * -extra)[: len(columns)]))
    return Table(path, columns, tuple(filled), tuple(name.strip() for name in header))


def _require_closed_quotes(path: Path, lines: Sequence[str], start: int, end: int, delimiter: str) -> None:
    """Refuse a row that goes over several lines because a quotation mark at the beginning of a cell is not closed.

    Args:
        start, end: the row is the lines from `start` to before `end`, counted from 0.
    """
    if end - start < 2:
        return
    try:
        list(csv.reader(lines[start:end], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ReleaseError(
            f"{path}:{start + 1}: a quotation mark at the beginning of a cell is not closed, so that its row goes on "
            f"to line {end}; close it, or write it twice in a cell that has marks around it"
        ) from error


def _find_delimiter(text: str, usual: str) -> str:
    """The usual delimiter unless the header is a single cell with it and several with another one."""
    if stated := _EXCEL_DELIMITER.match(text):
        return stated[1]

    def count(delimiter: str) -> int:
        return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), []))

    return usual if count(usual) > 1 else max((usual, *_DELIMITER_NAMES), key=count)
