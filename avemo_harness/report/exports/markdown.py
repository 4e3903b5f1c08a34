"""The benchmark's table in Markdown: the run's own rows, and apart from them the published ones."""

from __future__ import annotations

from collections.abc import Iterator

from avemo_harness.report.board import Board
from avemo_harness.report.exports import Publication
from avemo_harness.report.exports.formats import boards_with_rows
from avemo_harness.report.scored_run import ScoredRun
from avemo_harness.report.table import INTERVAL_AND_COUNT, as_markdown, escaped_markdown


def markdown(run: ScoredRun, publication: Publication) -> dict[str, str]:
    """One file, a section a split, for a model card or an issue; marks are raised letters, explained below the table.

    Raises:
        UsageError: no task belongs to a group, which is what a row is of.
    """
    blocks = [block for board in boards_with_rows(run, publication) for block in _blocks(board)]
    return {"table.md": "\n\n".join(blocks) + "\n"}


def _blocks(board: Board) -> Iterator[str]:
    yield f"## {escaped_markdown(board.title)}"
    for heading, tables, marks in board.sections():
        if heading:
            yield f"### {escaped_markdown(heading)}"
        yield from (as_markdown(table, INTERVAL_AND_COUNT) for table in tables)
        notes = [f"<sup>{mark}</sup> {escaped_markdown(sentence)}" for mark, sentence in marks.items()]
        notes += map(escaped_markdown, board.caveats if heading else board.remarks)
        if notes:
            yield "\n".join(f"- {note}" for note in notes)
