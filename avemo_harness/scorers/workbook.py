"""The cells of an Excel workbook, without a package for it: texts and numbers of its first sheet."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from avemo_harness.errors import UsageError, first_line
from avemo_harness.files import check_file

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_MAX_PART_BYTES = 64_000_000
"""Of a part of the workbook, unpacked: more is no table of words."""


def read_sheet(path: Path) -> list[dict[str, str | None]]:
    """Read the first sheet: a record a row, by the names in the first one; an empty cell is None.

    Raises:
        UsageError: there is no such file, or it is no workbook (.xlsx).
    """
    try:
        check_file(path)
        with zipfile.ZipFile(path) as book:
            shared = _shared_texts(book)
            rows = list(_rows(_part(book, _first_sheet(book)), shared))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); put the file there") from error
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, IndexError, ValueError) as error:
        raise UsageError(f"{path}: not an Excel workbook ({first_line(error)}); fetch the file again") from error
    if not rows:
        raise UsageError(f"{path}: expected the names of the columns in the first row, found an empty sheet")
    names = {column: name for column, name in rows[0].items() if name}
    return [{name: row.get(column) for column, name in names.items()} for row in rows[1:]]


def _part(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if (size := book.getinfo(name).file_size) > _MAX_PART_BYTES:
        raise ValueError(f"{name} has {size:,} bytes")
    return ElementTree.fromstring(book.read(name))


def _first_sheet(book: zipfile.ZipFile) -> str:
    sheets = _part(book, "xl/workbook.xml").find(f"{_MAIN}sheets")
    if sheets is None or not len(sheets):
        raise ValueError("it has no sheets")
    wanted = sheets[0].attrib[_RELATION]
    for relation in _part(book, "xl/_rels/workbook.xml.rels"):
        if relation.attrib.get("Id") == wanted:
            target = relation.attrib["Target"]
            return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    raise ValueError("its first sheet is nowhere")


def _shared_texts(book: zipfile.ZipFile) -> list[str]:
    name = "xl/sharedStrings.xml"
    return [_text(entry) for entry in _part(book, name)] if name in book.namelist() else []


def _text(entry: ElementTree.Element) -> str:
    """The text of a cell: whole, or in runs of different looks; how it is pronounced is no part of it."""
    runs = [entry, *entry.findall(f"{_MAIN}r")]
    return "".join(found.text or "" for run in runs for found in run.findall(f"{_MAIN}t"))


def _rows(sheet: ElementTree.Element, shared: list[str]) -> Iterator[dict[str, str | None]]:
    for row in sheet.iter(f"{_MAIN}row"):
        yield {_column(cell): _value(cell, shared) for cell in row.findall(f"{_MAIN}c")}


def _column(cell: ElementTree.Element) -> str:
    """Letters of a cell's reference, such as AB of AB12."""
    if found := re.match("[A-Z]+", cell.attrib["r"]):
        return found[0]
    raise ValueError(f"a cell is called {cell.attrib['r']!r}")


def _value(cell: ElementTree.Element, shared: list[str]) -> str | None:
    kind = cell.attrib.get("t")
    if kind == "inlineStr":
        inline = cell.find(f"{_MAIN}is")
        return None if inline is None else _text(inline)
    value = cell.findtext(f"{_MAIN}v")
    return value if value is None or kind != "s" else shared[int(value)]
