"""Numbers as they are printed, and text that comes from others, for places that take some characters for orders."""

from __future__ import annotations

from typing import Literal

_FORMULA = ("=", "+", "-", "@")


def printable(text: str) -> str:
    """The text without control characters, so that it cannot steer a terminal or break a page.

    >>> printable("calm\\x1b[31m")
    'calm[31m'
    """
    return "".join(character for character in text if character.isprintable() or character == " ")


def printable_lines(text: str) -> str:
    """The same of a text of several lines.

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
