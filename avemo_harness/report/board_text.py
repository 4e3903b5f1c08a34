"""The benchmark's table with published and measured rows as plain text."""

from __future__ import annotations

from avemo_harness.report.board import CAVEATS, Board, BoardBlock, BoardCell, Notes
from avemo_harness.report.published import OTHER_TABLES, PublishedTable
from avemo_harness.text_table import aligned

NOTHING = "—"

EXPLANATION = ("from, to: 95 % interval over resampled dialogues", *CAVEATS)


def format_board(board: Board) -> str:
    """Lay out one split for a terminal. Names are given as they are; the caller makes them printable."""
    notes = Notes()
    lines = [line for block in board.blocks() for line in (*_block(block, notes), "")]
    remarks = [f"{row.name}: {row.remark}" for row in board.rows if row.remark]
    return "\n".join([board.title, *lines, *(f"  {letter}  {note}" for letter, note in notes), *remarks]).rstrip()


def format_other_tables() -> str:
    """The paper's Tables 1, 3 and 4, which are about its recognisers."""
    return "\n\n".join(_format_table(table) for table in OTHER_TABLES)


def _block(block: BoardBlock, notes: Notes) -> list[str]:
    names = block.names
    lines = [[block.title, *names]]
    for row, cells in block.rows:
        lines.append([row.name, *(_value(cells.get(name), notes) for name in names)])
        if any(name in cells and cells[name].ci_low is not None for name in names):
            lines.append(["  from", *(_end(cells[name].ci_low if name in cells else None) for name in names)])
            lines.append(["  to", *(_end(cells[name].ci_high if name in cells else None) for name in names)])
    return aligned(lines)


def _value(cell: BoardCell | None, notes: Notes) -> str:
    # A blank where a letter may stand keeps the figures of a column below each other.
    return f"{NOTHING} " if cell is None else f"{cell.value:.3f}{notes.letter(cell.note) or ' '}"


def _end(end: float | None) -> str:
    return "" if end is None else f"{end:.3f} "


def _format_table(table: PublishedTable) -> str:
    rows = [[name, *(f"{value:.{table.decimals}f}" for value in values)] for name, values in table.rows.items()]
    lines = [f"Table {table.number}: {table.title}", *aligned([["", *table.columns], *rows])]
    return "\n".join([*lines, *([f"  {table.note}"] if table.note else [])])
