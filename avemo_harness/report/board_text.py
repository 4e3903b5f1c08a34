"""The benchmark's table with measured and published rows as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from avemo_harness.report.board import CAVEATS, Board, BoardBlock, BoardCell, BoardSection
from avemo_harness.report.numbers import UNDEFINED, figure
from avemo_harness.report.published import OTHER_TABLES, PublishedTable
from avemo_harness.report.text_cells import Figure, column_blocks, on_the_point
from avemo_harness.text_table import aligned

EXPLANATION = ("from, to: 95 % interval over resampled dialogues; n: items or dialogues", *CAVEATS)


def format_board(board: Board) -> str:
    """Lay out one split for a terminal. Names are given as they are; the caller makes them printable."""
    remarks = [f"  {row.name}: {row.remark}" for row in board.rows if row.remark]
    parts = [_section(section, remarks if section.heading is None else []) for section in board.sections()]
    return "\n".join([board.title, "\n\n".join(parts)])


def _section(section: BoardSection, remarks: Sequence[str]) -> str:
    heading = "" if section.heading is None else f"{section.heading}\n"
    below = "\n".join([*mark_lines(section.notes), *remarks])
    blocks = ["\n".join(_block(block)) for block in section.blocks]
    return heading + "\n\n".join([*blocks, *([below] if below else [])])


def mark_lines(sentences: Mapping[str, str]) -> list[str]:
    """The sentences behind the marks of a table's cells, a line each."""
    return [f"  {mark}  {sentence}" for mark, sentence in sentences.items()]


def format_other_tables() -> str:
    """The paper's Tables 1, 3 and 4, which are about its recognisers."""
    return "\n\n".join(_format_table(table) for table in OTHER_TABLES)


def _block(block: BoardBlock) -> list[str]:
    names = [block.title]
    for row, cells in block.rows:
        measured = any(cell.n is not None for cell in cells.values())
        names += [row.name, *(["  from", "  to", "  n"] if measured else [])]
    columns = [[name, *on_the_point(list(_figures(block, name)))] for name in block.names]
    return column_blocks(names, columns)


def _figures(block: BoardBlock, column: str) -> Iterator[Figure]:
    """The cells below a column's head."""
    for _, cells in block.rows:
        cell = cells.get(column)
        yield (UNDEFINED, "") if cell is None else (cell.shown, cell.mark)
        if any(one.n is not None for one in cells.values()):
            yield from _details(cell)


def _details(cell: BoardCell | None) -> Iterator[Figure]:
    low, high = ("", "") if cell is None else cell.shown_ends
    yield from ((low, ""), (high, ""), ("" if cell is None or cell.n is None else str(cell.n), ""))


def _format_table(table: PublishedTable) -> str:
    rows = [[name, *(figure(value, table.decimals) for value in values)] for name, values in table.rows.items()]
    lines = [f"Table {table.number}: {table.title}", *aligned([["", *table.columns], *rows])]
    return "\n".join([*lines, *([f"  {table.note}"] if table.note else [])])
