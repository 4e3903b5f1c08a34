"""Text for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text without control characters, so that what a release or a model says cannot steer the terminal.

    >>> printable("calm\\x1b[31m")
    'calm[31m'
    """
    return "".join(character for character in text if character.isprintable() or character == " ")
