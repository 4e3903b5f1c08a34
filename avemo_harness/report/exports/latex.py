"""The benchmark's table for a paper: the run's own rows, and apart from them the published ones, as in Table 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from avemo_harness.benchmark.published import PEOPLE
from avemo_harness.report.board import LABELS, PUBLISHED, Board, BoardRow
from avemo_harness.report.exports import Publication
from avemo_harness.report.exports.formats import boards_with_rows
from avemo_harness.report.others import OTHERS_CAVEATS
from avemo_harness.report.scored_run import ScoredRun
from avemo_harness.report.table import Cell, is_measured

_REASONING = ("ECS", "EBS", "EBS_dir", "ESS", "ERS")
_COLUMNS = len(_REASONING) + len(LABELS) + len(PEOPLE)
_ESCAPES = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
}
_IMPOSSIBLE = r"$^\dagger$"


def latex(run: ScoredRun, publication: Publication) -> dict[str, str]:
    """One file with a `table*` that needs no package: a table of measured rows, and below it one of published rows.

    Marks of measured cells are raised letters, explained in the caption; published cells that cannot be right carry a
    dagger. Nothing is bold: no best value is named among rows that may not be compared.

    Raises:
        UsageError: no task belongs to a group, which is what a row is of.
    """
    every = boards_with_rows(run, publication)
    # A benchmark has columns of its own.
    own, shown = [x for x in every if not x.labels], [x for x in every if x.labels]
    lines = [r"\begin{table*}", r"\centering\scriptsize\setlength{\tabcolsep}{1.5pt}"]
    for board in own:
        lines += _tabulars_of_benchmark(board)
    if not shown:
        return _file(lines, own)
    lines += _tabular(shown, lambda board: [line for row in (*board.rows, *board.trivial) for line in _measured(row)])
    if any(board.published for board in shown):
        lines += ["", r"\medskip", rf"\emph{{{escaped(PUBLISHED)}}}", "", r"\smallskip"]
        lines += _tabular(
            [x for x in shown if x.published], lambda board: [_row(row, _dagger) for row in board.published]
        )
    return _file(lines, every)


def _file(lines: Sequence[str], shown: Sequence[Board]) -> dict[str, str]:
    return {"table.tex": "\n".join([*lines, rf"\caption{{{_caption(shown)}}}", r"\end{table*}"]) + "\n"}


def _tabulars_of_benchmark(board: Board) -> list[str]:
    """A table of a benchmark's measured rows, and below it one of what others report, their sources raised letters."""
    lines = [rf"\emph{{{escaped(board.title)}}}", "", r"\smallskip"]
    for heading, tables, marks in board.sections():
        if heading:
            lines += ["", r"\medskip", rf"\emph{{{escaped(heading)}}}", "", r"\smallskip"]
        for table in tables:
            lines += [
                rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
                r"\hline",
                _line("System", *map(escaped, table.columns)),
                r"\hline",
            ]
            for name, cells in table.rows:
                values = [cells.get(column) for column in table.columns]
                lines.append(_line(escaped(name), *("--" if cell is None else _marked(cell) for cell in values)))
                if is_measured(cells):
                    counts = ("" if cell is None or cell.n is None else str(cell.n) for cell in values)
                    lines.append(_line(r"\quad $n$", *counts))
            lines += [r"\hline", r"\end{tabular}"]
        # Letters begin anew with every benchmark, so that the caption of all has no room for them.
        sources = (rf"$^{{\mathrm{{{escaped(mark)}}}}}$ {escaped(sentence)}" for mark, sentence in marks.items())
        lines += ["", "; ".join(sources)] if heading else []
    return [*lines, ""]


def _tabular(shown: Sequence[Board], rows: Callable[[Board], Sequence[str]]) -> list[str]:
    """A table with a head of its own, and a part for each split."""
    lines = [
        rf"\begin{{tabular}}{{l{'|'.join('r' * len(block) for block in (_REASONING, LABELS, PEOPLE))}}}",
        r"\hline",
        rf"& \multicolumn{{{len(_REASONING)}}}{{c|}}{{Reasoning}} "
        rf"& \multicolumn{{{len(LABELS)}}}{{c|}}{{Understanding}} "
        rf"& \multicolumn{{{len(PEOPLE)}}}{{c}}{{Rated by people}} \\",
        _line("System", *map(escaped, (*_REASONING, *LABELS, *PEOPLE))),
    ]
    for board in shown:
        across = r"; ECS to ERS are across turns (CT)" if any(x.startswith("CT-") for x in board.reasoning) else ""
        lines += [
            r"\hline",
            rf"\multicolumn{{{_COLUMNS + 1}}}{{l}}{{\emph{{{escaped(board.title)}}}{across}}} \\",
            r"\hline",
            *rows(board),
        ]
    return [*lines, r"\hline", r"\end{tabular}"]


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is; what plain LaTeX has no letter for is left out.

    >>> escaped("a_b & 50%")
    'a\\\\_b \\\\& 50\\\\%'
    """
    return "".join(_ESCAPES.get(character, character) for character in text if " " <= character <= "~")


def _measured(row: BoardRow) -> list[str]:
    """A row, and below it of how many items or dialogues its values are."""
    counts = ["" if cell is None or cell.n is None else str(cell.n) for cell in _cells(row)]
    return [_row(row, _marked), *([_line(r"\quad $n$", *counts)] if any(counts) else [])]


def _row(row: BoardRow, shown: Callable[[Cell], str]) -> str:
    return _line(escaped(row.name), *("--" if cell is None else shown(cell) for cell in _cells(row)))


def _line(*cells: str) -> str:
    return " & ".join(cells) + r" \\"


def _cells(row: BoardRow) -> list[Cell | None]:
    # Of a split with several turns, the reasoning columns are the cross-turn ones.
    reasoning = [row.columns.get(name) or row.columns.get(f"CT-{name}") for name in _REASONING]
    return [*reasoning, *map(row.columns.get, LABELS), *map(row.people.get, PEOPLE)]


def _marked(cell: Cell) -> str:
    return cell.text + (rf"$^{{\mathrm{{{escaped(cell.mark)}}}}}$" if cell.marks else "")


def _dagger(cell: Cell) -> str:
    return cell.text + (_IMPOSSIBLE if cell.marks else "")


def _caption(shown: Sequence[Board]) -> str:
    measured = dict(note for board in shown for note in board.notes if note[0].isupper())
    remarks = [remark for board in shown for remark in board.remarks]
    parts = [rf"$^{{\mathrm{{{escaped(mark)}}}}}$: {escaped(sentence)}." for mark, sentence in measured.items()]
    parts += [escaped(f"{remark}.") for remark in dict.fromkeys(remarks)]
    if any(board.published and not board.labels for board in shown):
        parts.append(escaped(f"{' '.join(OTHERS_CAVEATS)}.".capitalize()))
    if any(board.published and board.labels for board in shown):
        parts.append("Published rows compare with none above them: the paper's judge and its release are not public.")
        parts.append(f"{_IMPOSSIBLE}: cannot be right by its own definition.")
    return " ".join(parts)
