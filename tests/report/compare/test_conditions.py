"""Within one run: what hearing and seeing add to each other, on the same turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.planted_runs import Planted, TextBench, write_condition_tasks

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import UsageError
from avemo_harness.models.base import Capabilities
from avemo_harness.report.compare import compare_conditions, compare_runs
from avemo_harness.report.comparison import format_comparison


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
