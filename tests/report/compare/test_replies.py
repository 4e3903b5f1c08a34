"""Comparing spoken replies: the scores of either run on shared turns, by one judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from support.clips import melody
from support.one_by_one import OneByOne
from support.planted_judge import LevelJudge, plant
from support.synthetic_release import CONFIG, write_synthetic_release

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.cli import main
from avemo_harness.errors import UsageError
from avemo_harness.models.base import Capabilities
from avemo_harness.report.compare import compare_runs
from avemo_harness.report.comparison import Contrast
from avemo_harness.report.results import score_run
from avemo_harness.report.scored_run import read_scored_run

TASK = f"{CONFIG}_reply"
LABELS = f"{CONFIG}_full_av"


@dataclass(frozen=True)
class Singing(OneByOne):
    """Replies with a melody, the louder the later in the dialogue; some dialogues get no sound."""

    name: str
    loudness: float
    silent: tuple[str, ...] = ()

    capabilities = Capabilities(frozenset({"spoken_response", "label_text"}), largest_batch=4)

    def answer(self, request: Request) -> Response:
        if isinstance(request.output, LabelOutput):
            return Response(text="happy")
        if request.dialogue_id in self.silent:
            return Response(text="I see.")
        level = self.loudness / (1 + request.turn_index)
        return Response(text="I see.", speech=Speech(level * melody(1.0, seed=5), 16_000))


@dataclass(frozen=True)
class Stage:
    """Where runs of singing models stand."""

    folder: Path
    release: Path

    def run(self, model: Singing, judge: str | None = None, tasks: str = TASK) -> Path:
        path = self.folder / model.name
        evaluate(model, tasks, dataset=str(self.release), output_path=path, recognizer=judge)
        return path


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("replies")
    return Stage(folder, write_synthetic_release(folder / "release", dialogues=2, turns=2))


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> LevelJudge:
    return plant(monkeypatch, LevelJudge())


def contrast_of(*folders: Path) -> Contrast:
    (contrast,) = compare_runs(folders, force=False).contrasts
    return contrast


def test_on_the_same_turns_both_values_are_those_of_the_runs(stage: Stage) -> None:
    folders = stage.run(Singing("loud", 0.9)), stage.run(Singing("soft", 0.2))
    contrast = contrast_of(*folders)
    results = [read_scored_run(folder).result.tasks[TASK].metrics for folder in folders]
    table = [one.column for one in contrast.differences if one.family == "table"]
    assert table == ["CT-ECS", "CT-EBS", "CT-EBS_dir", "CT-ESS", "CT-ERS"]
    assert {one.metric for one in contrast.differences} == set(results[0])
    assert not [note for note in contrast.notes if note.startswith("not compared")]
    compared = 0
    for one in contrast.differences:
        values = [metrics[one.metric].value for metrics in results]
        assert [one.first, one.second] == pytest.approx(values)
        if values[0] is not None and values[1] is not None:
            assert one.difference.value == pytest.approx(values[1] - values[0])
            compared += 1
    assert compared >= 3
    assert any(one.difference.value for one in contrast.differences)


def test_turns_that_one_side_did_not_answer_in_speech_are_left_out_and_told(stage: Stage) -> None:
    folders = stage.run(Singing("always", 0.5)), stage.run(Singing("sometimes", 0.5, silent=("d0a", "d0b")))
    contrast = contrast_of(*folders)
    assert contrast.n_shared == 8
    assert [one.n for one in contrast.differences if one.metric == "ct_ecs"] == [2]
    assert all(one.difference.value in (0, None) for one in contrast.differences if one.metric != "coverage")
    assert "always spoke in 100 % of the turns, sometimes in 50 %" in contrast.notes[0]
    assert {flip["item"] for flip in contrast.flips} == {"d0a/0", "d0a/2", "d0b/0", "d0b/2"}


def test_replies_that_two_judges_scored_are_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, LevelJudge("strict"), "strict")
    folders = stage.run(Singing("one", 0.5)), stage.run(Singing("other", 0.5), "strict")
    with pytest.raises(UsageError, match=r"replies were judged by embedded .* and by strict"):
        contrast_of(*folders)
    forced = compare_runs(folders, force=True)
    assert any("replies were judged by" in note for note in forced.notes)


def test_what_two_judges_scored_is_left_out_where_there_is_more_to_compare(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, LevelJudge("strict"), "strict")
    both = f"{TASK},{LABELS}"
    folders = stage.run(Singing("mild", 0.5), tasks=both), stage.run(Singing("hard", 0.4), "strict", both)
    comparison = compare_runs(folders, force=False)
    assert [one.title for one in comparison.contrasts] == [LABELS]
    (note,) = comparison.notes
    assert note.startswith(f"mild, hard: left out, {TASK}: replies were judged by embedded (")
    assert note.endswith("avemo-eval judge RUN --recognizer NAME")
    forced = compare_runs(folders, force=True)
    assert {one.title for one in forced.contrasts} == {LABELS, TASK}


def test_replies_of_one_run_that_nobody_judged_are_left_out_too(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    both = f"{TASK},{LABELS}"
    judged, unjudged = (stage.run(Singing(name, 0.5), tasks=both) for name in ("judged", "unjudged"))
    (unjudged / "judge.json").unlink()
    score_run(unjudged)
    comparison = compare_runs([judged, unjudged], force=False)
    assert [one.title for one in comparison.contrasts] == [LABELS]
    assert "and by nobody" in comparison.notes[0]


def test_a_run_that_was_judged_again_has_to_be_scored_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(monkeypatch, LevelJudge("strict"), "strict")
    folders = stage.run(Singing("kept", 0.5)), stage.run(Singing("again", 0.4))
    assert main(["judge", str(folders[1]), "--recognizer", "strict"]) == 0
    capsys.readouterr()
    for command in (["compare", *map(str, folders)], ["report", str(folders[1])]):
        assert main(command) == 2
        told = capsys.readouterr().err
        assert f"replies were judged again since the run was scored; avemo-eval score {folders[1]}" in told
    assert main(["score", str(folders[1])]) == 0
    assert main(["report", str(folders[1])]) == 0


def test_the_embedded_judge_says_nothing_of_other_releases_than_the_demo(stage: Stage) -> None:
    contrast = contrast_of(stage.run(Singing("x", 0.5)), stage.run(Singing("y", 0.4)))
    assert contrast.notes == ("the embedded judge knows the demo's voices only: these differences mean nothing",)
