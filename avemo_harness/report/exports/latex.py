"""The benchmark's table for a paper: published rows and the run's own, in the shape of the paper's Table 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avemo_harness.errors import UsageError
from avemo_harness.report.board import LABELS, Board, BoardCell, BoardRow, boards
from avemo_harness.report.exports.exported import Publication, model_name
from avemo_harness.report.published import PAPER
from avemo_harness.report.results_file import PEOPLE, FinishedRun

_REASONING = ("ECS", "EBS", "ESS", "ERS")
_ESCAPES = {
    **{one: f"\\{one}" for one in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
}
_MARK = r"$^\dagger$"


def latex(run: FinishedRun, publication: Publication) -> dict[str, str]:
    """One file with a `table*` that needs no package. The run's rows are bold; marked cells carry a dagger.

    Raises:
        UsageError: no task belongs to a group, which is what a row is of.
    """
    shown = [board for board in boards([run], [publication.model_id or model_name(run)]) if _has_run(board)]
    if not shown:
        raise UsageError(f"{run.folder}: none of its tasks belongs to a group, so there is no row; take --format csv")
    columns = len(_REASONING) + len(LABELS) + len(PEOPLE)
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{2pt}",
        rf"\begin{{tabular}}{{l{_rules()}}}",
        r"\hline",
        rf"& \multicolumn{{4}}{{c|}}{{Reasoning}} & \multicolumn{{{len(LABELS)}}}{{c|}}{{Understanding}} "
        r"& \multicolumn{4}{c}{Rated by people} \\",
        " & ".join(["System", *map(escaped, (*_REASONING, *LABELS, *PEOPLE))]) + r" \\",
    ]
    for board in shown:
        prefix = r"; ECS to ERS are across turns (CT)" if any(x.startswith("CT-") for x in board.reasoning) else ""
        lines += [
            r"\hline",
            rf"\multicolumn{{{columns + 1}}}{{l}}{{\emph{{{escaped(board.title)}}}{prefix}}} \\",
            r"\hline",
            *(_row(row) for row in board.rows),
        ]
    lines += [r"\hline", r"\end{tabular}", rf"\caption{{{_caption(shown)}}}", r"\end{table*}"]
    return {"table.tex": "\n".join(lines) + "\n"}


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is; what plain LaTeX has no letter for is left out.

    >>> escaped("a_b & 50%")
    'a\\\\_b \\\\& 50\\\\%'
    """
    return "".join(_ESCAPES.get(one, one) for one in text if " " <= one <= "~")


def _has_run(board: Board) -> bool:
    return any(not row.published for row in board.rows)


def _rules() -> str:
    return "|".join("r" * len(block) for block in (_REASONING, LABELS, PEOPLE))


def _row(row: BoardRow) -> str:
    # Of a split with several turns, the reasoning columns are the cross-turn ones.
    reasoning = [row.columns.get(name) or row.columns.get(f"CT-{name}") for name in _REASONING]
    cells = [*map(_cell, reasoning), *_cells(row.columns, LABELS), *_cells(row.people, PEOPLE)]
    name = escaped(row.name)
    return " & ".join([name if row.published else rf"\textbf{{{name}}}", *cells]) + r" \\"


def _cells(cells: Mapping[str, BoardCell], names: Sequence[str]) -> list[str]:
    return [_cell(cells.get(name)) for name in names]


def _cell(cell: BoardCell | None) -> str:
    return "--" if cell is None else f"{cell.value:.3f}{_MARK if cell.note else ''}"


def _caption(shown: Sequence[Board]) -> str:
    remarks = [f"{row.name}: {row.remark}" for board in shown for row in board.rows if row.remark]
    published = any(row.published for board in shown for row in board.rows)
    parts = []
    if published:
        parts.append(f"Rows in regular type: {escaped(PAPER)}, Table 2, as printed.")
        parts.append(f"{_MARK}: cannot be right by its own definition.")
    parts += [escaped(f"{remark}.") for remark in dict.fromkeys(remarks)]
    return " ".join(parts)
