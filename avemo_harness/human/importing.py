"""Take in ratings that were made with another tool: CSV, a JSON array, or JSON lines."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avemo_harness.errors import UsageError
from avemo_harness.human.ratings import CollectedRating, RatingsFile
from avemo_harness.human.study import SCALE_NAMES, Study, StudyItem, StudyKey, checked_version
from avemo_harness.metrics.raters import HIGHEST, LOWEST

FIELDS = ("rater", "item", "dialogue", "system", "repeat", "seconds", "scales", *SCALE_NAMES)
"""Fields of a row: the rater, the item or its dialogue and system, the scales, and the ratings."""
_MAX_BYTES = 64 * 2**20
_KNOWN = "SELECT er, en, rr, seconds FROM imported WHERE rater = ? AND item = ? AND repeat = ? AND scales = ?"
_ADD = "INSERT INTO imported (rater, item, repeat, scales, er, en, rr, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """Counts of an import.

    Args:
        added, known: ratings taken in, and those that were there already.
        apart: how many of the file's ratings are on another wording of the scales than the study's, by wording.
    """

    added: int
    known: int
    raters: int
    apart: Mapping[str, int] = field(default_factory=dict)


def import_ratings(
    folder: Path, study: Study, key: StudyKey, source: Path, columns: Mapping[str, str], scales: str | None = None
) -> ImportCounts:
    """Add a file's ratings to a study: all of them or, where one row is wrong, none.

    Raters' names are not kept: a rater gets a name of the study's own, the same in every file.

    Args:
        columns: what the file calls a field of `FIELDS`, where it has another name.
        scales: the wording that the ratings were given on, where the file has no column of it.

    Raises:
        UsageError: a row is not as expected, says no wording, or differs from what the study holds.
        StoreError: `ratings.sqlite` cannot be written.
    """
    known = study.by_id()
    item_of = {
        (one.dialogue, one.system): item_id for item_id, one in key.items.items() if known[item_id].kind == "rated"
    }
    if scales is not None:
        checked_version(scales, "--scales")
    rows = []
    for number, values in read_rows(source, columns, FIELDS):
        where = f"{source}:{number}"
        named = {**values, "scales": _scales(values["scales"], scales, study, where)}
        rows.append(_row(named, where, known, item_of))
    added = 0
    names = set()
    with closing(RatingsFile(folder, study.digest())) as file, file.transaction() as db:
        for row in rows:
            secret_name = hmac.new(file.secret, row.rater.encode(errors="surrogatepass"), hashlib.sha256)
            name = f"import{secret_name.hexdigest()[:12]}"
            names.add(name)
            stored_as = (name, row.item.item_id, row.repeat, row.scales)
            found = (*(row.ratings.get(scale) for scale in SCALE_NAMES), row.seconds)
            before = db.execute(_KNOWN, stored_as).fetchone()
            if before is None:
                db.execute(_ADD, (*stored_as, *found))
                added += 1
            elif tuple(before) != found:
                raise UsageError(
                    f"{source}: rates item {row.item.item_id} by rater {row.rater!r} twice, and not alike (once "
                    "perhaps in an earlier file); keep one, or mark the second with repeat=1"
                )
    apart = Counter(row.scales for row in rows if row.scales != study.scales_version)
    return ImportCounts(added, len(rows) - added, len(names), dict(sorted(apart.items())))


def read_rows(source: Path, columns: Mapping[str, str], fields: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a file with their line's number, by our names of fields.

    Raises:
        UsageError: the file is not as expected, or a column is given for no field.
    """
    for name in columns:
        if name not in fields:
            raise UsageError(f"--columns: no field {name!r}; there are {', '.join(fields)}")
    try:
        if source.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{source}: larger than {_MAX_BYTES >> 20} MB; cut it into parts")
        text = source.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{source}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{source}: is not UTF-8; save it as CSV in UTF-8") from error
    rows = list(_READERS.get(source.suffix.lower(), _csv_rows)(source, text))
    if not rows:
        raise UsageError(f"{source}: holds no rating; expected a row for each item of each rater")
    for number, row in rows:
        yield number, {name: row.get(columns.get(name, name)) for name in fields}


def _csv_rows(source: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        for row in reader:
            if None in row or None in row.values():
                raise UsageError(f"{source}:{reader.line_num}: has another number of cells than the first line")
            yield reader.line_num, row
    except csv.Error as error:
        raise UsageError(f"{source}:{reader.line_num}: is no CSV ({error})") from error


def _json_array(source: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source}: is no JSON; give lines of JSON the ending .jsonl") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{source}: expected a list of objects, one a rating")
    yield from enumerate(rows, 1)


def _json_rows(source: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{source}:{number}: is no JSON") from error
        if not isinstance(row, dict):
            raise UsageError(f"{source}:{number}: expected an object, found {line[:40]!r}")
        yield number, row


_READERS = {".json": _json_array, ".jsonl": _json_rows, ".ndjson": _json_rows}
"""By the ending of a file, in small letters; all others are CSV."""


def _row(
    values: Mapping[str, Any], where: str, items: Mapping[str, StudyItem], item_of: Mapping[tuple[str, str], str]
) -> CollectedRating:
    rater = "" if values["rater"] is None else str(values["rater"]).strip()
    if not rater:
        raise UsageError(f"{where}: names no rater; call the column `rater`, or say --columns rater=COLUMN")
    item = _item(values, where, items, item_of)
    points = {name: _point(values[name], f"{where}: {name}") for name in SCALE_NAMES}
    ratings = {name: point for name, point in points.items() if point is not None}
    if not ratings:
        raise UsageError(f"{where}: rates nothing; expected {', '.join(SCALE_NAMES)} from {LOWEST} to {HIGHEST}")
    return CollectedRating(
        rater=rater,
        item=items[item],
        repeat=_flag(values["repeat"], where),
        ratings=ratings,
        seconds=_seconds(values["seconds"], where),
        scales=values["scales"],
    )


def _scales(value: Any, option: str | None, study: Study, where: str) -> str:
    """The wording of the scales that a row was rated on, by the row itself or by what was said of the whole file."""
    of_row = None if value in (None, "") else checked_version(str(value).strip(), f"{where}: scales")
    if of_row is not None and option is not None and of_row != option:
        raise UsageError(f"{where}: was rated on the scales {of_row}, --scales says {option}; leave the option out")
    found = of_row or option
    if found is None:
        raise UsageError(
            f"{where}: does not say on which scales it was rated; add a column `scales`, or say --scales "
            f"{study.scales_version} where raters saw the study's own wording, and another name where they did not"
        )
    return found


def _item(
    values: Mapping[str, Any], where: str, items: Mapping[str, Any], item_of: Mapping[tuple[str, str], str]
) -> str:
    if values["item"] not in (None, ""):
        item = str(values["item"])
        if item not in items:
            raise UsageError(f"{where}: the study has no item {item!r}; take the ids from plan.json")
        return item
    key = (str(values["dialogue"]), str(values["system"]))
    if key not in item_of:
        raise UsageError(
            f"{where}: the study has no item of dialogue {key[0]!r} and system {key[1]!r}; expected an item id, or "
            "a dialogue and a system of key.json"
        )
    return item_of[key]


def _point(value: Any, where: str) -> int | None:
    if value is None or value == "":
        return None
    number = number_of(value, where)
    if number not in range(LOWEST, HIGHEST + 1):
        raise UsageError(f"{where}: expected a whole number from {LOWEST} to {HIGHEST}, found {value!r}")
    return int(number)


def _seconds(value: Any, where: str) -> float | None:
    if value is None or value == "":
        return None
    number = number_of(value, f"{where}: seconds")
    if not 0 <= number < 1e6:
        raise UsageError(f"{where}: seconds: expected a number of 0 or more, found {value!r}")
    return number


def number_of(value: Any, where: str) -> float:
    """A cell as a number (UsageError: it is none)."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{where}: expected a number, found {str(value)[:40]!r}") from error


def _flag(value: Any, where: str) -> bool:
    word = "" if value is None else str(value).strip(" ").casefold()
    if word in ("", "0", "false", "no"):
        return False
    if word in ("1", "true", "yes"):
        return True
    raise UsageError(f"{where}: repeat: expected 0 or 1, found {str(value)[:40]!r}")
