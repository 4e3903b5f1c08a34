"""Text: numbers and tables as printed, foreign text made safe, values without paths and secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Literal

Notify = Callable[[str], None]
"""Takes a sentence for the user: what slow thing starts now, what was repaired."""

_FORMULA = ("=", "+", "-", "@")


def printable(text: str) -> str:
    """The text without control characters, so that it cannot steer a terminal or break a page.

    >>> printable("calm\\x1b[31m")
    'calm[31m'
    """
    return "".join(character for character in text if character.isprintable() or character == " ")


def printable_lines(text: str) -> str:
    """`printable` for a text of several lines.

    >>> printable_lines("a\\x07\\nb")
    'a\\nb'
    """
    return "\n".join(map(printable, text.split("\n")))


def fixed(value: float, digits: int = 3, sign: Literal["-", "+"] = "-") -> str:
    """A number with so many decimals; one that is rounded to zero has no minus.

    Args:
        sign: ``+`` to show it of positive numbers, too.

    >>> fixed(-0.0004), fixed(-0.25, 1), fixed(-0.0004, sign="+")
    ('0.000', '-0.2', '+0.000')
    """
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"


def storable(text: str) -> str:
    """The text with U+FFFD for each half of a pair that stands alone, which no file can hold.

    >>> storable("calm \\ud83d.") == "calm \\ufffd."
    True
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def safe_cell(text: str) -> str:
    """A text cell that no spreadsheet takes for a formula and no terminal for a command.

    >>> safe_cell("=1+1"), safe_cell(" @x\\x1b[31m")
    ("'=1+1", "' @x[31m")
    """
    clean = printable(" ".join(text.splitlines()))
    return f"'{clean}" if clean.lstrip().startswith(_FORMULA) else clean


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns padded to equal width, a rule below the first row: the first column to the left, numbers to the right.

    >>> aligned([["", "arousal"], ["audio", "0.50"]])
    ['       arousal', '--------------', 'audio     0.50']
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text_columns = {i for i in range(len(widths)) if i == 0 or rows[0][i] == "metric"}
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i in text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Container[int] = ()) -> str:
    """A table in Markdown, each cell in one line.

    Args:
        numbers: columns that are aligned to the right.

    >>> print(markdown_table(["stream", "CCC"], [["a|b", 0.5]], numbers={1}))
    | stream | CCC |
    | --- | ---: |
    | a\\|b | 0.5 |
    """
    rule = ["---:" if i in numbers else "---" for i in range(len(head))]
    return "\n".join(f"| {' | '.join(map(_markdown_cell, row))} |" for row in (head, rule, *rows))


def _markdown_cell(value: object) -> str:
    # A bar divides cells even within code.
    return " ".join(str(value).split()).replace("|", "\\|")


_SECRET_NAME = re.compile(r"(?:^|_)(?:key|token|secret|password|authorization)$", re.IGNORECASE)
_LOCAL_PATH = re.compile(r"(?<![\w.:/\\~…-])(?:~|[A-Za-z]:)?[/\\](?:[^\s\"'=,;/\\]+[/\\])*([^\s\"'=,;/\\]+)[/\\]?")
_PATH_PART = r"(?:[^\s\"'=,;/\\]| (?![-/\\~]))+"
_WHOLE_PATH = re.compile(rf"(?:~|[A-Za-z]:)?[/\\](?:{_PATH_PART}[/\\])*({_PATH_PART})[/\\]?")
"""A text that is one path, whose parts may hold spaces; what follows an option or a second path is not."""
_URL_LOGIN = re.compile(r"(?<=://)[^/?#\s\"<>]*@")
_URL_QUERY = re.compile(r"(://[^?#\s\"<>]*)[?#][^\s\"<>]*")


def publishable(value: Any) -> Any:
    """Redact a value for others: local paths to their last part, URLs to neither user nor query, secrets wholly.

    >>> publishable({"source": "/home/ann/corpora/ravdess", "api_key": "xyz", "url": "http://me:pw@host/v1?token=xyz"})
    {'source': '…/ravdess', 'api_key': '(left out)', 'url': 'http://host/v1'}
    """
    if isinstance(value, Mapping):
        return {
            key: "(left out)" if item and _SECRET_NAME.search(str(key)) else publishable(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [publishable(item) for item in value]
    if isinstance(value, str):
        whole = _WHOLE_PATH.fullmatch(value)
        return f"…/{whole[1]}" if whole else _LOCAL_PATH.sub(r"…/\1", _URL_QUERY.sub(r"\1", _URL_LOGIN.sub("", value)))
    return value
