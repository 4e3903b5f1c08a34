"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


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
