"""Emotion wheels: any word for an emotion, through its forms and synonyms, to the sector of a wheel that it lies in."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.errors import MissingDataError, UsageError
from avemo_harness.files import read_file
from avemo_harness.scorers.metric import WHEELS
from avemo_harness.scorers.workbook import read_sheet

SOURCE = "https://github.com/zeroQiaoba/AffectGPT"
"""The repository that holds the wheels."""
FORMS, SYNONYMS = "format.csv", "synonym.xlsx"
_WHEEL_FILES = tuple(f"wheel{number}.xlsx" for number in range(1, WHEELS + 1))
_FILES = (*_WHEEL_FILES, SYNONYMS, FORMS)
_RUNS = range(1, 9)
"""Times that synonyms were asked for; all count."""

TERMS_RULE = 2
"""Version of the rule by which words are read from answers; results carry it."""
_BULLET = re.compile(r"(?m)^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_LEAD = re.compile(r"(?m)^.*:")
_BETWEEN = re.compile(r"['\"“”‘’,;、，；\n\[\](){}]|\band\b")


def split_terms(text: str) -> list[str]:
    """The words of a list as data sets write it: with or without brackets and quotation marks, between commas.

    >>> split_terms("['happy', 'at ease']"), split_terms("sad, worried")
    (['happy', 'at ease'], ['sad', 'worried'])
    """
    inside = text.removeprefix("[").removesuffix("]")
    return [term.strip() for term in re.split("['\",]", inside) if term.strip()]


def read_terms(text: str) -> list[str]:
    """The words for emotions that an answer lists, in lower case; also where it is a list of lines, or ends in a stop.

    What a line says before a colon is left out.

    >>> read_terms("1. Happy\\n2. Relieved"), read_terms("The emotions are: sad, worried and lonely.")
    (['happy', 'relieved'], ['sad', 'worried', 'lonely'])
    """
    listed = _LEAD.sub("", _BULLET.sub("\n", text))
    return [term for part in _BETWEEN.split(listed.lower()) if (term := part.strip(" \t.!?*_`"))]


@dataclass(frozen=True, slots=True)
class Wheels:
    """Sectors of each wheel by word, in lower case.

    Args:
        sectors: of each wheel, the sector of every word that has one.
        digest: of the files that they were read from.
    """

    sectors: tuple[Mapping[str, str], ...]
    digest: str

    @property
    def words(self) -> int:
        """Number of words on a wheel."""
        return len(set().union(*self.sectors))

    def places(self, terms: Iterable[str]) -> tuple[frozenset[str], ...]:
        """The sectors that terms lie in, wheel by wheel; terms that lie nowhere are left out."""
        terms = [term.lower().strip() for term in terms]
        return tuple(frozenset(wheel[term] for term in terms if term in wheel) for wheel in self.sectors)


def require_wheels(folder: Path) -> None:
    """See that a folder holds the files of the wheels (MissingDataError: one is not there)."""
    if missing := [name for name in _FILES if not (folder / name).is_file()]:
        raise MissingDataError(
            f"{folder}: expected the emotion wheels {', '.join(_FILES)}, found no {missing[0]}; give the folder "
            f"`emotion_wheel` of {SOURCE} as the scorer's parameter wheels"
        )


def load_wheels(folder: Path, level: int = 1) -> Wheels:
    """Read five wheels, the synonyms of their words and the forms of these, as Lian et al. publish them.

    A word counts as the first sector, by the alphabet, of the wheel's words that it is a form or a synonym of (ICML
    2025, "OV-MER"; files `wheel1.xlsx` to `wheel5.xlsx`, `synonym.xlsx` and `format.csv` of their `emotion_wheel`).

    Args:
        level: how fine the sectors are: 1 the innermost ring, 2 the next.

    Raises:
        UsageError: a file is not what its name says.
        MissingDataError: a file is missing.
    """
    require_wheels(folder)
    synonyms = _synonyms(folder / SYNONYMS)
    forms = _forms(folder / FORMS)
    reached = {
        form: sorted({word for base in bases for word in synonyms.get(base, ())}) for form, bases in forms.items()
    }
    sectors = []
    for name in _WHEEL_FILES:
        of_wheel = _sectors(folder / name, level)
        first = {
            form: next((of_wheel[word] for word in words if word in of_wheel), None) for form, words in reached.items()
        }
        sectors.append({form: sector for form, sector in first.items() if sector is not None})
    content = hashlib.sha256(b"".join(hashlib.sha256(read_file(folder / name)).digest() for name in _FILES))
    return Wheels(tuple(sectors), content.hexdigest())


def _column(path: Path, row: Mapping[str, str | None], name: str) -> str:
    if name not in row:
        raise UsageError(f"{path}: expected a column {name!r}, found {', '.join(row)}; fetch the file again")
    return row[name] or ""


def _rings(path: Path) -> Iterator[tuple[str, str, str]]:
    """Words of a wheel from the innermost ring outwards; an empty cell repeats the one above."""
    ring = ["", "", ""]
    for row in read_sheet(path):
        for level in range(3):
            ring[level] = _column(path, row, f"level{level + 1}").strip().lower() or ring[level]
        yield ring[0], ring[1], ring[2]


def _sectors(path: Path, level: int) -> dict[str, str]:
    """The sector of each word of a wheel; at level 2 an innermost word counts as the first of its ring."""
    rings: dict[str, dict[str, list[str]]] = {}
    for inner, middle, outer in _rings(path):
        rings.setdefault(inner, {}).setdefault(middle, []).append(outer)
    sectors = {}
    for inner, ring in rings.items():
        sectors[inner] = inner if level == 1 else min(ring)
        for middle, words in ring.items():
            for word in (middle, *words):
                sectors[word] = inner if level == 1 else middle
    return sectors


def _synonyms(path: Path) -> dict[str, set[str]]:
    """The words of wheels that each word stands for, itself among them where it is one."""
    words: dict[str, set[str]] = {}
    for row in read_sheet(path):
        for run in _RUNS:
            word = _column(path, row, f"word_run{run}").strip().lower()
            for synonym in (word, *split_terms(_column(path, row, f"synonym_run{run}"))):
                words.setdefault(synonym.strip().lower(), set()).add(word)
    return words


def _forms(path: Path) -> dict[str, set[str]]:
    """The words that each form is of, itself among them."""
    forms: dict[str, set[str]] = {}
    text = read_file(path).decode("utf-8-sig", errors="replace")
    for row in csv.DictReader(io.StringIO(text)):
        word = _column(path, row, "name")
        for form in (word, *split_terms(_column(path, row, "format"))):
            forms.setdefault(form, set()).add(word)
    return forms
