"""What commands print. Much of it stands in files of others, which may try to steer the terminal."""

from __future__ import annotations

import sys

from avemo_harness.text import printable_lines


def show(text: str) -> None:
    """Print a result, of one or several lines."""
    print(printable_lines(text))


def say(sentence: str) -> None:
    """Tell how far a command is, on the standard error, so that the standard output holds results alone."""
    print(printable_lines(sentence), file=sys.stderr, flush=True)
