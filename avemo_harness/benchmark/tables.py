"""Rows of tables: JSON, text with delimiters, tars of samples (WebDataset), Parquet, and folders of recordings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from avemo_harness.benchmark.columns import ARRAYS, LINES, TEXT
from avemo_harness.benchmark.table_files import Features, RowError, TableFile, TableRow, with_names
from avemo_harness.benchmark.table_media import MEDIA, SOUNDS, Embedded, SharedArchive, kind_of
from avemo_harness.benchmark.table_npz import npz_rows
from avemo_harness.benchmark.table_parquet import parquet_rows
from avemo_harness.benchmark.text_tables import decode_text, read_beginning, read_table
from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.files import check_file, read_file

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""Words in names of files and folders that tell a split, as `datasets` reads them."""
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Tables beside the files of an Audio- or VideoFolder."""


def read_rows(file: TableFile, features: Features | None = None, first: int | None = None) -> Iterator[TableRow]:
    """Yield the rows of a file; numbers of classes as their names.

    Args:
        features: where they are known from elsewhere than the file.
        first: rows that are wanted at most; None for all.

    Raises:
        ReleaseError: it cannot be read as what its name says.
    """
    if file.ending == ".parquet":
        return parquet_rows(file, features)
    if file.ending == ARRAYS:
        return npz_rows(file.name, file.path(), file.split)
    if file.ending in LINES:
        rows = _json_rows(file)
    elif file.ending in TEXT:
        rows = _text_rows(file, first)
    else:
        assert file.ending == ".tar", file.ending
        rows = _tar_rows(file)
    return with_names(rows, features or {})


def _json_rows(file: TableFile) -> Iterator[TableRow]:
    path = file.path()
    if file.ending == ".json":
        yield from _json_list(file.name, path)
        return
    yield from _json_lines(file.name, _lines(file.name, path))


def _json_list(name: str, path: Path) -> Iterator[TableRow]:
    content = decode_text(_whole_file(name, path), name)
    if not content.lstrip().startswith("["):
        record = _spread_record(content)
        # Many a file of lines is called so.
        yield from _json_lines(name, content.splitlines()) if record is None else [TableRow(f"{name}: row 0", record)]
        return
    try:
        rows = _parsed_json(content)
    except RowError as error:
        raise ReleaseError(f"{name}: {error}") from error
    for number, row in enumerate(rows):
        yield _record_row(f"{name}: row {number}", row)


def _spread_record(content: str) -> dict[str, Any] | None:
    """The one object that a text of several lines is, as the file of a single row; None where it is none."""
    if "\n" not in content.strip():
        return None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _json_lines(name: str, lines: Iterable[str]) -> Iterator[TableRow]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{name}:{number}"
            try:
                yield _record_row(where, _parsed_json(line))
            except RowError as error:
                yield TableRow(where, {}, str(error))


def _parsed_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RowError(f"not JSON ({error}); write one object a line, or a list of them") from error


def _record_row(where: str, value: Any) -> TableRow:
    if isinstance(value, dict):
        return TableRow(where, value)
    return TableRow(where, {}, f"expected an object with a value a column, found {kind_of(value)}")


def _lines(name: str, path: Path) -> Iterator[str]:
    """Lines of a text; in UTF-8 one after another, so that a long file needs no memory."""
    try:
        check_file(path)
        with open(path, "rb") as handle:
            beginning = handle.read(4)
            handle.seek(0)
            if b"\0" in beginning or beginning[:2] in (b"\xff\xfe", b"\xfe\xff"):
                yield from decode_text(handle.read(), name).splitlines()
                return
            for line in handle:
                yield decode_text(line, name)
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror}); put the file there") from error


def _whole_file(name: str, path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise ReleaseError(f"{name}: cannot be read ({error.strerror}); put the file there") from error


def _text_rows(file: TableFile, first: int | None) -> Iterator[TableRow]:
    path, delimiter = file.path(), TEXT[file.ending]
    table = read_table(path, delimiter) if first is None else read_beginning(path, delimiter, first)
    for row in table.rows:
        # Nothing between two delimiters is a null: text has no other way to say so.
        cells = [cell or None for cell in row.cells]
        yield TableRow(f"{file.name}:{row.line}", dict(zip(table.header, cells, strict=True)))


def _tar_rows(file: TableFile) -> Iterator[TableRow]:
    """The samples of a WebDataset: files that differ in their endings alone, one after another."""
    archive = SharedArchive(file.path())
    key = file.key()
    samples: dict[str, dict[str, str]] = {}
    for name in archive.names():
        folder, _, base = name.rpartition("/")
        stem, dot, ending = base.partition(".")
        if not base.startswith(".") and dot:
            samples.setdefault(f"{folder}/{stem}" if folder else stem, {})[ending.lower()] = name
    for number, (sample, members) in enumerate(samples.items()):
        where = f"{file.name}: row {number}, {sample}"
        values: dict[str, Any] = {"__key__": sample}
        try:
            values |= {ending: _member(archive, name, ending, key) for ending, name in members.items()}
            yield TableRow(where, values)
        except (RowError, MediaError, ReleaseError) as error:
            yield TableRow(where, values, str(error))


def _member(archive: SharedArchive, name: str, ending: str, key: str) -> Any:
    last = "." + ending.rpartition(".")[2]
    if last not in (".json", ".txt", ".text", ".cls", ".transcript"):
        return Embedded(f"{key}|{name}", partial(archive.read, name))
    text = decode_text(archive.read(name), name)
    return _parsed_json(text) if last == ".json" else text.strip()


def folder_rows(files: Mapping[str, TableFile], root: str) -> Iterator[TableRow]:
    """The rows of an Audio- or VideoFolder: of its metadata, or a row a recording with its folder's name as `label`.

    Recordings are in the column `audio` or `video`, whichever they are, as paths relative to the folder.

    Args:
        files: by path relative to the folder.
        root: how errors call the folder.

    Raises:
        ReleaseError: a table of metadata names no files.
    """
    metadata = [name for name in files if PurePosixPath(name).name in METADATA]
    for name in metadata:
        parent = PurePosixPath(name).parent
        for row in read_rows(files[name]):
            yield TableRow(row.where, _with_files(row, parent), row.problem)
    if metadata:
        return
    found = [name for name in files if PurePosixPath(name).suffix.lower() in MEDIA]
    for number, name in enumerate(sorted(found)):
        path = PurePosixPath(name)
        of_class = path.parent.name and not any(path.parent.name.lower() in words for words in SPLITS.values())
        values = {_kind(name): name, "label": path.parent.name if of_class else None}
        yield TableRow(f"{root}: row {number}, {name}", values)


def _kind(name: str) -> str:
    return "audio" if PurePosixPath(name).suffix.lower() in SOUNDS else "video"


def _with_files(row: TableRow, parent: PurePosixPath) -> dict[str, Any]:
    """The values of a row of metadata with paths from the folder's root, under the names that `datasets` gives them."""
    values = dict(row.values)
    named = [name for name in values if name == "file_name" or name.endswith("_file_name")]
    if not named and row.problem is None:
        raise ReleaseError(
            f"{row.where}: expected a column 'file_name' that names a recording, found {', '.join(values)}"
        )
    for name in named:
        value = values[name]
        path = (parent / value).as_posix() if isinstance(value, str) else None
        column = name.removesuffix("_file_name") if name != "file_name" else _kind(path or "")
        values[column] = path
    return values
