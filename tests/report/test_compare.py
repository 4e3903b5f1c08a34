"""Comparing runs, and conditions of one run: only the same items, and every difference that was planted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.planted_runs import Planted, TextBench, write_condition_tasks

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.cli import main
from avemo_harness.errors import StoreError, UsageError
from avemo_harness.metrics.paired import mcnemar_test
from avemo_harness.models.base import Capabilities
from avemo_harness.report.compare import compare_conditions, compare_runs
from avemo_harness.report.comparison import Comparison, Contrast, MetricDifference, format_comparison
from avemo_harness.run.json_files import read_sealed_json

WRONG_OF_A = [(number, 0) for number in range(6)]
WRONG_OF_B = [(number, 0) for number in range(4, 20)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> TextBench:
    return TextBench.of(tmp_path_factory.mktemp("single"), dialogues=40)


@pytest.fixture(scope="module")
def pair(bench: TextBench) -> tuple[Path, Path]:
    return bench.run(Planted("a", WRONG_OF_A)), bench.run(Planted("b", WRONG_OF_B))


@pytest.fixture(scope="module")
def dialogues(tmp_path_factory: pytest.TempPathFactory) -> TextBench:
    return TextBench.of(tmp_path_factory.mktemp("multi"), dialogues=8, turns=3)


def compared(*folders: Path) -> Comparison:
    return compare_runs(folders, force=False)


def only(comparison: Comparison) -> Contrast:
    (contrast,) = comparison.contrasts
    return contrast


def of_metric(contrast: Contrast, metric: str) -> MetricDifference:
    return next(one for one in contrast.differences if one.metric == metric)


def test_a_planted_difference_is_found_with_both_values(pair: Sequence[Path]) -> None:
    contrast = only(compared(*pair))
    assert (contrast.first, contrast.second, contrast.n_shared, contrast.n_clusters) == ("a", "b", 40, 40)
    accuracy = of_metric(contrast, "accuracy")
    assert accuracy.first == pytest.approx(34 / 40)
    assert accuracy.second == pytest.approx(24 / 40)
    assert accuracy.difference.value == pytest.approx(-10 / 40)
    assert accuracy.difference.ci_high is not None
    assert accuracy.difference.ci_high < 0
    assert [one.metric for one in contrast.differences] == ["accuracy", "macro_f1", "f1_all4", "balanced_accuracy"]


def test_single_turns_are_tested_by_mcnemar_and_what_is_no_share_of_items_by_sign_flips(pair: Sequence[Path]) -> None:
    contrast = only(compared(*pair))
    accuracy, macro_f1 = of_metric(contrast, "accuracy"), of_metric(contrast, "macro_f1")
    assert (accuracy.test, accuracy.p_value) == ("McNemar", pytest.approx(mcnemar_test(4, 14)))
    assert macro_f1.test == "sign-flip"
    assert macro_f1.p_value is not None
    assert macro_f1.p_value < 0.05


def test_every_test_of_the_comparison_is_adjusted_for_all_of_them(pair: Sequence[Path]) -> None:
    comparison = compared(*pair)
    differences = only(comparison).differences
    assert comparison.tests == len(differences) == 4
    smallest = min(differences, key=lambda one: one.p_value or 0)
    assert smallest.p_value is not None
    assert smallest.p_holm == pytest.approx(4 * smallest.p_value)


def test_flipped_items_are_listed_with_what_either_side_said(pair: Sequence[Path]) -> None:
    flips = {flip["item"]: flip for flip in only(compared(*pair)).flips}
    assert set(flips) == {f"d{number:05}/0" for number in (*range(4), *range(6, 20))}
    lost, won = flips["d00006/0"], flips["d00000/0"]
    assert (lost["gold"], lost["first_label"], lost["second_label"]) == ("angry", "angry", "sad")
    assert (lost["first_verdict"], lost["second_verdict"]) == ("right", "wrong")
    assert (won["first_verdict"], won["second_verdict"]) == ("wrong", "right")


def test_turns_of_a_dialogue_are_flipped_and_resampled_together(dialogues: TextBench) -> None:
    """One dialogue differs in all its turns: of two equally likely signs, both give the same difference."""
    first = dialogues.run(Planted("first"))
    second = dialogues.run(Planted("second", [(0, 0), (0, 1), (0, 2)]))
    accuracy = of_metric(only(compared(first, second)), "accuracy")
    assert accuracy.difference.value == pytest.approx(-1 / 8)
    assert (accuracy.test, accuracy.p_value) == ("sign-flip", 1.0)


def test_items_of_one_side_alone_are_named_and_not_compared(bench: TextBench, pair: Sequence[Path]) -> None:
    some = bench.run(Planted("some"), limit=38)
    contrast = only(compared(pair[0], some))
    assert (contrast.n_shared, contrast.only_second) == (38, ())
    asked = {json.loads(line)["item"] for line in (some / "scores" / "text_only.jsonl").read_text().splitlines()}
    assert set(contrast.only_first) == {f"d{number:05}/0" for number in range(40)} - asked
    assert len(contrast.only_first) == 2
    failing = bench.run(Planted("failing", failing=[(3, 0)]))
    assert only(compared(pair[0], failing)).only_first == ("d00003/0",)


def test_equal_answers_differ_by_nothing_and_say_nothing_of_what_could_be_detected(
    bench: TextBench, pair: Sequence[Path]
) -> None:
    again = bench.run(Planted("a", WRONG_OF_A), "again")
    comparison = compared(pair[0], again)
    assert list(comparison.sides) == ["a (a)", "a (again)"]
    for one in only(comparison).differences:
        reach = 1 - 0.025 ** (1 / 40)
        assert (one.difference.value, one.difference.ci_low, one.difference.ci_high) == (0, -reach, reach)
        assert (one.p_value, one.detectable) == (1.0, None)
    assert only(comparison).flips == ()


def test_four_dialogues_are_too_few_for_an_interval_of_a_difference(
    tmp_path: Path,
) -> None:
    few = TextBench.of(tmp_path, dialogues=4, turns=3)
    contrast = only(compared(few.run(Planted("a", [(0, 1), (1, 0)])), few.run(Planted("b", [(2, 0)]))))
    accuracy = of_metric(contrast, "accuracy").difference
    assert accuracy.value == pytest.approx(1 / 12)
    assert (accuracy.ci_low, accuracy.n_clusters, accuracy.note) == (None, 4, "too few dialogues")


def test_every_run_is_compared_with_the_first(bench: TextBench, pair: Sequence[Path]) -> None:
    third = bench.run(Planted("c"))
    comparison = compared(*pair, third)
    assert [(one.first, one.second) for one in comparison.contrasts] == [("a", "b"), ("a", "c")]
    assert comparison.tests == 8


def test_other_releases_are_refused_unless_told(pair: Sequence[Path], tmp_path: Path) -> None:
    other = TextBench.of(tmp_path, dialogues=41).run(Planted("a"))
    with pytest.raises(UsageError, match=r"not two measurements of the same thing.*--force[^§]*text_only differs"):
        compared(pair[0], other)
    forced = compare_runs([pair[0], other], force=True)
    assert only(forced).n_shared == 40
    assert "release text, split test differs" in "\n".join(forced.notes)


def test_runs_on_one_commit_are_compared_also_where_one_has_read_but_a_part(
    pair: Sequence[Path], tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("whole", "part")]
    for source, folder in zip(pair, folders, strict=True):
        shutil.copytree(source, folder)
        record = read_sealed_json(folder / "run.json")
        release = {"source": "lab/release", "commit": "c" * 40, "fingerprint": folder.name}
        record["releases"] = [{**one, **release} for one in record["releases"]]
        (folder / "run.json").write_text(json.dumps(record))
    assert only(compared(*folders)).n_shared == 40
    edited = (folders[1] / "run.json").read_text().replace("c" * 40, "d" * 40)
    (folders[1] / "run.json").write_text(edited)
    with pytest.raises(UsageError, match="release text, split test differs"):
        compared(*folders)


def test_settings_that_differ_are_said(bench: TextBench, pair: Sequence[Path]) -> None:
    sampled = bench.run(Planted("seeded"), seed=7)
    assert "a, seeded: seed differs: 0 and 7" in compared(pair[0], sampled).notes


def test_what_is_no_scored_run_is_refused(pair: Sequence[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not a run directory \(no run.json\)"):
        compared(pair[0], tmp_path)
    with pytest.raises(UsageError, match="the same run is given twice"):
        compared(pair[0], pair[0])


def test_scores_that_are_missing_or_damaged_say_how_to_get_them(tmp_path: Path) -> None:
    bench = TextBench.of(tmp_path, dialogues=3)
    folders = bench.run(Planted("a")), bench.run(Planted("b"))
    scores = folders[1] / "scores" / "text_only.jsonl"
    scores.write_text('{"item": "d0')
    with pytest.raises(StoreError, match=r"text_only.jsonl: damaged .* avemo-eval score"):
        compared(*folders)
    scores.unlink()
    with pytest.raises(UsageError, match="score the run first: avemo-eval score"):
        compared(*folders)


def test_the_command_prints_a_table_and_writes_the_same_json_twice(
    pair: Sequence[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        assert main(["compare", *map(str, pair), "--json", str(file), "--html", str(tmp_path / "page.html")]) == 0
    shown = capsys.readouterr().out
    assert "accuracy           0.850   0.600      -0.250" in shown
    assert "14 right -> wrong: d00006/0 (angry: angry -> sad)" in shown
    assert "and 9 more" in shown
    assert files[0].read_bytes() == files[1].read_bytes()
    written = json.loads(files[0].read_text())
    assert written["schema_version"] == 1
    assert len(written["contrasts"][0]["flips"]) == 18
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert main(["compare", str(pair[0]), str(tmp_path / "none")]) == 2


class OneBlindSpot:
    """Right about everything, but for the first dialogues under one condition, which its prompts name."""

    capabilities = Capabilities(frozenset({"label_text"}), largest_batch=64)

    def __init__(self, weak: str) -> None:
        self._right, self._wrong = Planted("right"), Planted("wrong", [(number, 0) for number in range(10)])
        self._weak = weak

    def identity(self) -> Mapping[str, str]:
        return {"model": "blind"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        answers = []
        for request in requests:
            weak = self._weak in str(request.messages)
            answers += (self._wrong if weak else self._right).generate([request])
        return answers


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conditions")
    bench = TextBench.of(folder, dialogues=20)
    tasks = write_condition_tasks(folder / "tasks", bench.release)
    for name in ("full_av", "audio_only", "video_only"):
        # A release of text has no clips for a condition to change, so the prompt says which it is.
        path = tasks / f"{name}.yaml"
        path.write_text(path.read_text().replace("How does", f"By {name}, how does"))
    evaluate(
        OneBlindSpot("By video_only"),
        ["full_av", "audio_only", "video_only"],
        output_path=folder / "run",
        include_path=(str(tasks),),
    )
    return folder / "run"


def test_both_are_held_against_either_and_hearing_against_seeing(run: Path) -> None:
    comparison = compare_conditions(run)
    assert [(one.first, one.second) for one in comparison.contrasts] == [("V", "A"), ("V", "AV"), ("A", "AV")]
    by_sides = {one.title: {x.column: x for x in one.differences} for one in comparison.contrasts}
    assert by_sides["mine: A against V"]["Acc"].difference.value == pytest.approx(0.5)
    assert by_sides["mine: AV against V"]["Acc"].test == "McNemar"
    assert by_sides["mine: AV against A"]["F1"].difference.value == 0
    assert (comparison.tests, comparison.other_tests) == (6, 6)


def test_a_run_of_one_condition_has_nothing_to_compare(tmp_path: Path) -> None:
    folder = TextBench.of(tmp_path, dialogues=3).run(Planted("a"))
    with pytest.raises(UsageError, match="give a second run to compare it with"):
        compare_conditions(folder)


def test_metrics_of_a_group_carry_the_names_of_its_columns(run: Path, tmp_path: Path) -> None:
    tasks = run.parent / "tasks"
    names = ["full_av", "audio_only", "video_only"]
    evaluate(Planted("right"), names, output_path=tmp_path / "right", include_path=(str(tasks),))
    comparison = compare_runs([run, tmp_path / "right"], force=False)
    columns = {one.title: [x.column for x in one.differences] for one in comparison.contrasts}
    others = ["f1_all4", "balanced_accuracy"]
    assert columns == {
        "full_av": ["Acc_AV", "F1_AV", *others],
        "audio_only": ["Acc_A", "macro_f1", *others],
        "video_only": ["Acc_V", "macro_f1", *others],
    }


def test_the_tests_of_the_table_s_columns_are_not_weakened_by_those_of_other_metrics(run: Path, tmp_path: Path) -> None:
    names = ["full_av", "audio_only", "video_only"]
    evaluate(Planted("right"), names, output_path=tmp_path / "right", include_path=(str(run.parent / "tasks"),))
    comparison = compare_runs([run, tmp_path / "right"], force=False)
    assert (comparison.tests, comparison.other_tests) == (4, 8)
    (column,) = (one for x in comparison.contrasts for one in x.differences if one.column == "Acc_V")
    assert column.p_value is not None
    assert column.p_value < 0.01
    assert column.p_holm == pytest.approx(4 * column.p_value)
    assert "for the 4 tests of the table's columns, which stand first, or for the 8 of the other metrics" in (
        format_comparison(comparison)
    )
