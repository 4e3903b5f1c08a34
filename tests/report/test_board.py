"""The published table with runs beside it: what was printed, what was measured, and what not to believe."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.planted_runs import Planted, TextBench, write_condition_tasks

from avemo_harness import evaluate
from avemo_harness.benchmark.published import SPLITS, marks_of_people, marks_of_reasoning, published_rows
from avemo_harness.cli import main
from avemo_harness.report.board import Board, MarkLetters, boards, format_board, format_other_tables
from avemo_harness.report.scored_run import ScoredRun, read_scored_run
from avemo_harness.scorers.base import Judge


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    bench = TextBench.of(folder, dialogues=8)
    tasks = write_condition_tasks(folder / "tasks", bench.release)
    names = ["full_av", "audio_only", "video_only"]
    evaluate(Planted("mine", [(0, 0)]), names, output_path=folder / "run", include_path=(str(tasks),), limit=6)
    return folder / "run"


def planted(folder: Path, name: str, data: Path, dialogues: int = 40) -> ScoredRun:
    """A run of the three conditions on the release and tasks in a folder, which are made where there are none."""
    if not data.exists():
        data.mkdir()
        write_condition_tasks(data / "tasks", TextBench.of(data, dialogues).release)
    names = ["full_av", "audio_only", "video_only"]
    model = Planted(name, [(number, 0) for number in range(0, 40, 3)])
    evaluate(model, names, output_path=folder / "runs" / name, include_path=(str(data / "tasks"),))
    return read_scored_run(folder / "runs" / name)


def board_of(run: Path) -> Board:
    return boards([read_scored_run(run)], ["mine"])[-1]


def test_without_runs_it_is_the_papers_table() -> None:
    shown = boards([], [])
    assert [board.group for board in shown] == list(SPLITS)
    for board in shown:
        printed = {row.system: row.columns for row in published_rows(board.group)}
        assert board.rows == board.trivial == ()
        assert {row.name for row in board.published} == set(printed)
        for row in board.published:
            assert {name: float(cell.text) for name, cell in row.columns.items()} == printed[row.name]


def test_every_published_figure_and_every_reason_is_shown() -> None:
    for board in boards([], []):
        text = format_board(board)
        for row in published_rows(board.group):
            assert all(f"{value:.3f}" in text for value in (*row.columns.values(), *row.people.values()))
            reasons = dict([*marks_of_reasoning(row.columns), *marks_of_people(row.people)])
            assert all(reason in text for reason in reasons.values())


def test_equal_reasons_share_a_letter() -> None:
    lines = format_board(boards([], [])[0]).splitlines()
    row = next(line for line in lines if "0.195" in line)
    letters = {cell[5:] for cell in row.split()[-3:]}
    assert len(letters) == 1
    (letter,) = letters
    assert (
        f"  {letter}  AAR, VAR and OLR are shares of the same items and sum to 1; printed, they sum to 0.955" in lines
    )


def test_a_run_stands_below_with_its_interval_and_what_to_doubt(run: Path) -> None:
    board = board_of(run)
    assert board.group == "mine"
    (row,) = board.rows
    assert (row.name, row.remark, board.published) == ("mine", None, ())
    text = format_board(board)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["mine"][0] == rows["mine"][2] == rows["mine"][3] == "0.83P"
    assert float(rows["from"][0]) < 5 / 6 < float(rows["to"][0])
    assert rows["n"] == ["6"] * 4
    assert text.endswith("  P  partial: only some of the items were asked for")


def sentences(board: Board, row: int, column: str) -> list[str]:
    """The sentences behind the marks of a cell."""
    notes = dict(board.notes)
    return [notes[mark] for mark in board.rows[row].columns[column].marks]


def test_rows_of_one_release_and_task_carry_no_mark(tmp_path: Path) -> None:
    runs = [planted(tmp_path, name, tmp_path / "same") for name in ("one", "two")]
    board = boards(runs, ["one", "two"])[-1]
    assert board.notes == ()
    assert {cell.marks for row in board.rows for cell in row.columns.values()} == {()}


def test_cells_of_two_releases_carry_two_marks_that_say_which_is_whose(tmp_path: Path) -> None:
    runs = [planted(tmp_path, name, tmp_path / name, dialogues) for name, dialogues in (("one", 40), ("two", 41))]
    board = boards(runs, ["one", "two"])[-1]
    for number, run in enumerate(runs):
        content = run.record.releases[0].fingerprint[:12]
        for column in ("Acc_AV", "F1_AV", "Acc_A", "Acc_V"):
            told = [one for one in sentences(board, number, column) if one.startswith("release")]
            assert told == [f"release …/release ({content}), not that of every row"]
    text = format_board(board)
    first, second = (row.columns["Acc_AV"] for row in board.rows)
    assert set(first.marks).isdisjoint(second.marks)
    for cell in (first, second):
        assert f"{cell.text}{cell.mark}" in text


def test_only_the_cells_of_a_task_of_two_versions_are_marked(tmp_path: Path) -> None:
    runs = [planted(tmp_path, "one", tmp_path / "same")]
    for task in (tmp_path / "same" / "tasks").glob("*_av.yaml"):
        task.write_text(task.read_text() + "version: 3\n")
    runs.append(planted(tmp_path, "two", tmp_path / "same"))
    board = boards(runs, ["one", "two"])[-1]
    for number, (version, run) in enumerate(zip((2, 3), runs, strict=True)):
        digest = run.record.task_digests["full_av"][:12]
        assert sentences(board, number, "Acc_AV") == [f"full_av version {version} ({digest}), not that of every row"]
        assert sentences(board, number, "Acc_A") == []


def judged_by(run: ScoredRun, name: str) -> ScoredRun:
    """The same run as if its answers were replies that a judge had scored."""
    task = run.record.tasks[0]
    scorer = task.scorers[0].model_copy(update={"name": "reasoning"})
    tasks = (task.model_copy(update={"scorers": (scorer,)}), *run.record.tasks[1:])
    result = replace(run.result, judge=Judge(name, name[0] * 64))
    return replace(run, record=replace(run.record, tasks=tasks), result=result)


def test_only_the_judged_cells_of_two_judges_are_marked(tmp_path: Path) -> None:
    runs = [planted(tmp_path, name, tmp_path / "same") for name in ("one", "two")]
    board = boards([judged_by(runs[0], "alice"), judged_by(runs[1], "/home/bob")], ["one", "two"])[-1]
    assert sentences(board, 0, "Acc_AV") == ["replies judged by alice (aaaaaaaaaaaa), not that of every row"]
    assert sentences(board, 1, "Acc_AV") == ["replies judged by …/bob (////////////), not that of every row"]
    assert sentences(board, 0, "Acc_A") == sentences(board, 1, "Acc_A") == []
    same = boards([judged_by(run, "alice") for run in runs], ["one", "two"])[-1]
    assert same.notes == ()


def test_answers_read_by_two_rules_are_marked(tmp_path: Path) -> None:
    runs = []
    for rule, name in enumerate(("one", "two"), 1):
        run = planted(tmp_path, name, tmp_path / "same")
        task = replace(run.result.tasks["audio_only"], details={"parsing": {"rule": rule}})
        runs.append(replace(run, result=replace(run.result, tasks={**run.result.tasks, "audio_only": task})))
    board = boards(runs, ["one", "two"])[-1]
    assert sentences(board, 1, "Acc_A") == ["answers read by rule 2, not that of every row"]
    assert sentences(board, 1, "Acc_AV") == []


def test_there_is_a_letter_for_each_of_many_sentences() -> None:
    notes = MarkLetters()
    letters = [notes.letter(f"sentence {number}") for number in range(60)]
    assert len(set(letters)) == 60
    assert (letters[0], letters[25], letters[26], letters[52]) == ("a", "z", "aa", "aaa")
    assert notes.letter("sentence 26") == "aa"


def test_trivial_rows_say_whose_they_are_where_there_are_several_runs(tmp_path: Path) -> None:
    run, other = (planted(tmp_path, name, tmp_path / "same") for name in ("one", "two"))
    trivial = {"shuffled": dict(run.result.groups["mine"].columns)}
    group = replace(run.result.groups["mine"], trivial=trivial)
    second = replace(other, result=replace(other.result, groups={"mine": group}))
    assert [row.name for row in boards([second], ["two"])[-1].trivial] == ["shuffled"]
    assert [row.name for row in boards([run, second], ["one", "two"])[-1].trivial] == ["shuffled (two)"]


def test_what_people_rated_joins_the_row(run: Path) -> None:
    metric = {"ci_low": 0.1, "ci_high": 0.9, "n": 4, "n_invalid": 0, "n_errors": 0}
    columns = {
        name: {**metric, "value": value} for name, value in (("ER", 0.5), ("EN", 0.6), ("RR", 0.7), ("ERS", 0.6))
    }
    study = {"task": "mine_reply", "group": "mine", "scales": "av-emo-2", "complete": False, "raters": 5, "excluded": 0}
    (run / "human").mkdir()
    (run / "human" / "mine_reply.json").write_text(json.dumps({**study, "columns": columns}))
    try:
        row = board_of(run).rows[0]
        assert {name: cell.text for name, cell in row.people.items()} == {
            "ER": "0.50",
            "EN": "0.60",
            "RR": "0.70",
            "ERS": "0.60",
        }
        assert {cell.mark for cell in row.people.values()} == {"R"}
        assert "  R  provisional: some items have fewer raters than planned" in format_board(board_of(run))
        assert "rated by people" in format_board(board_of(run))
        before = {name: value for name, value in study.items() if name != "scales"}
        (run / "human" / "mine_reply.json").write_text(json.dumps({**before, "columns": columns}))
        row = board_of(run).rows[0]
        assert row.people == {}
        assert "rated by people on other scales (av-emo-1), which are no ER, EN, RR, ERS" in (row.remark or "")
    finally:
        shutil.rmtree(run / "human")


def test_the_recognisers_tables_are_printed_with_as_many_decimals_as_the_paper_has() -> None:
    text = format_other_tables()
    assert "0.4745" in text
    assert "0.164" in text
    assert "headed weighted F1" in text


def test_the_command_needs_no_run_and_refuses_what_is_none(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard"]) == 0
    assert "Table 2, as printed" in capsys.readouterr().out
    assert main(["leaderboard", str(run), "--recognizers"]) == 0
    out = capsys.readouterr().out
    assert "Mine" in out
    assert "Table 4" in out
    assert main(["leaderboard", str(tmp_path)]) == 2
