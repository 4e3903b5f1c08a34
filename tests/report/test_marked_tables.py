"""Eight dialogues by the demo's judge beside published figures: marked in every table, in two digits, never bold."""

from __future__ import annotations

import csv
import io
import re
from html import unescape

import pytest
from support.speaking_runs import GROUP, Speaker, write_speaking_run
from support.synthetic_release import write_synthetic_release

from avemo_harness.report.board import PUBLISHED, boards, format_board
from avemo_harness.report.exports import Publication
from avemo_harness.report.exports.formats import spreadsheet
from avemo_harness.report.exports.latex import latex
from avemo_harness.report.exports.markdown import markdown
from avemo_harness.report.html.page import report_page
from avemo_harness.report.html.recordings import Recordings
from avemo_harness.report.scored_run import ScoredRun, read_scored_run
from avemo_harness.report.summary import format_results
from avemo_harness.report.values import SENTENCES
from avemo_harness.scorers.base import MetricValue

MARK = "D"
JUDGED = ("CT-ECS", "CT-EBS", "CT-EBS_dir", "CT-ESS", "CT-ERS")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ScoredRun:
    folder = tmp_path_factory.mktemp("marked")
    release = write_synthetic_release(folder / "release", dialogues=4, turns=2)
    return read_scored_run(write_speaking_run(folder / "run", release, Speaker()))


@pytest.fixture(scope="module")
def ecs(run: ScoredRun) -> MetricValue:
    metric = run.result.groups[GROUP].columns["CT-ECS"]
    assert metric is not None
    assert metric.value is not None
    assert (metric.n, metric.marks) == (8, (MARK,))
    return metric


def sections_of(text: str) -> tuple[str, str]:
    """Of a text with both, what was measured and what was published."""
    measured, heading, published = text.partition(PUBLISHED)
    assert heading
    return measured, published


def test_a_terminal_shows_the_mark_in_the_cell_and_n_below(run: ScoredRun, ecs: MetricValue) -> None:
    board = next(board for board in boards([run], ["speaker"]) if board.group == GROUP)
    for text in (format_results(run.result), sections_of(format_board(board))[0]):
        lines = [line.split() for line in text.splitlines() if line.strip()]
        head = next(line for line in lines if "CT-ECS" in line)
        assert tuple(head[1:]) == JUDGED
        row = next(line for line in lines if line[0] == "speaker")
        assert row[1] == f"{ecs.value:.2f}{MARK}"
        assert all(cell.endswith(MARK) for cell in row[1:])
        assert next(line for line in lines if line[0] == "n")[1] == "8"
        for name in ("copy", "constant", "shuffled"):
            assert all(cell.endswith(MARK) for cell in next(line for line in lines if line[0] == name)[1:])
        assert f"  {MARK}  {SENTENCES[MARK]}" in text.splitlines()


def test_no_table_of_a_terminal_is_wider_than_80_columns_but_that_of_all_metrics(run: ScoredRun) -> None:
    group, *_ = format_results(run.result).partition("\ntask ")
    board = next(board for board in boards([run], ["speaker"]) if board.group == GROUP)
    for text in (group, format_board(board)):
        tables = [line for line in text.splitlines() if re.search(r"\S  +\S", line) and not line.startswith("  ")]
        assert max(map(len, tables)) <= 80


def test_published_rows_stand_in_a_section_of_their_own(run: ScoredRun) -> None:
    board = next(board for board in boards([run], ["speaker"]) if board.group == GROUP)
    measured, published = sections_of(format_board(board))
    assert "Qwen2.5-Omni" not in measured
    assert "speaker" not in published
    assert "CT-ECS" in published
    balance = next(line.split() for line in published.splitlines() if line.startswith("Qwen2.5-Omni"))
    assert balance[1:4] == ["0.730", "0.162", "—"]


def test_the_page_has_the_mark_raised_in_the_cell_and_nothing_in_bold(run: ScoredRun, ecs: MetricValue) -> None:
    page = report_page(run, [], Recordings())
    tables = re.findall(r"<table>.*?</table>", page)
    assert not [one for one in tables if "Qwen2.5-Omni" in one and ">speaker<" in one]
    measured = next(one for one in tables if ">speaker<" in one and "CT-ECS" in one)
    assert f"<td>{ecs.value:.2f}<sup>{MARK}</sup><br>" in measured
    assert "n 8</small>" in measured
    assert "<b>" not in page
    assert f"<sup>{MARK}</sup> {SENTENCES[MARK]}" in unescape(page)


def test_a_paper_s_table_has_the_mark_raised_and_explains_it(run: ScoredRun, ecs: MetricValue) -> None:
    text = latex(run, Publication())["table.tex"]
    measured, published, _ = text.split(r"\end{tabular}")
    row = next(line for line in measured.splitlines() if line.startswith("speaker"))
    assert row.split(" & ")[1] == rf"{ecs.value:.2f}$^{{\mathrm{{{MARK}}}}}$"
    assert r"\quad $n$ & 8 & " in measured
    assert "copy & 1.00" in measured
    assert "Qwen2.5-Omni" not in measured
    assert "Qwen2.5-Omni" in published
    assert r"\textbf" not in text
    assert rf"$^{{\mathrm{{{MARK}}}}}$: {SENTENCES[MARK]}." in text


def test_a_model_card_s_table_has_the_mark_raised_and_explains_it(run: ScoredRun, ecs: MetricValue) -> None:
    text = markdown(run, Publication())["table.md"]
    measured, published = sections_of(text)
    assert f"| speaker | {ecs.value:.2f}<sup>{MARK}</sup> |" in measured
    assert "| n | 8 |" in measured
    assert f"- <sup>{MARK}</sup> {SENTENCES[MARK]}" in measured.splitlines()
    assert "Qwen2.5-Omni" not in measured
    assert "| Qwen2.5-Omni | 0.730" in published
    assert "**" not in text


def test_a_spreadsheet_has_the_mark_in_the_shown_cell_and_exact_values_beside(run: ScoredRun, ecs: MetricValue) -> None:
    rows = list(csv.DictReader(io.StringIO(spreadsheet(run, Publication())["results.csv"])))
    row = next(one for one in rows if one["metric"] == "ct_ecs")
    assert (row["shown"], row["marks"], row["n"]) == (f"{ecs.value:.2f} {MARK}", MARK, "8")
    assert float(row["value"]) == ecs.value
    assert row["caveats"] == f"{MARK}: {SENTENCES[MARK]}"
    assert next(one for one in rows if one["metric"] == "coverage")["marks"] == ""
