"""Whatever a run reports is compared on shared items, spoken replies by one judge, or it is named with a reason."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support.clips import melody
from support.one_by_one import OneByOne
from support.planted_judge import LevelJudge, plant
from support.releases import write_text_release, write_text_task
from support.synthetic_release import CONFIG, write_synthetic_release

from avemo_harness import evaluate, scorers
from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.cli import main
from avemo_harness.errors import UsageError
from avemo_harness.metrics.profiles import Profile
from avemo_harness.models.base import Capabilities
from avemo_harness.report.compare import compare_runs
from avemo_harness.report.comparison import Comparison, Contrast, MetricDifference, format_comparison
from avemo_harness.report.paired_metrics import paired_differences
from avemo_harness.report.results import score_run
from avemo_harness.report.scored_run import read_scored_run
from avemo_harness.scorers.base import Answer, MetricValue, ScoreLine, TaskScores
from avemo_harness.scorers.metric import BUILT_IN, Metric, unknown_metric
from avemo_harness.scorers.reasoning_columns import Column, Exchange

METRICS = "[accuracy, ece, brier]"


@dataclass(frozen=True)
class Sure(OneByOne):
    """Gives the right label a probability; every fourth dialogue it gives that to the next label."""

    name: str
    probability: float

    capabilities = Capabilities(frozenset({"label_text", "label_ranking"}), largest_batch=64)

    def answer(self, request: Request) -> Response:
        number = int(request.dialogue_id[1:])
        chosen = EMOTIONS[(number + (number % 4 == 0)) % 4]
        rest = (1 - self.probability) / 3
        logprobs = {label: math.log(self.probability if label == chosen else rest) for label in EMOTIONS}
        return Response(text=chosen, label_logprobs=logprobs)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_release(tmp_path_factory.mktemp("release"), dialogues=40)


def compared(folder: Path, release: Path, extra: str, models: Sequence[Sure]) -> Comparison:
    task = write_text_task(folder / "text_only.yaml", release, extra=extra)
    for model in models:
        evaluate(model, str(task), output_path=folder / model.name)
    return compare_runs([folder / model.name for model in models], force=False)


def only(comparison: Comparison) -> Contrast:
    (contrast,) = comparison.contrasts
    return contrast


def of_metric(contrast: Contrast, metric: str) -> MetricDifference:
    return next(one for one in contrast.differences if one.metric == metric)


def test_calibration_of_ranked_labels_is_compared_with_the_values_of_the_runs(release: Path, tmp_path: Path) -> None:
    extra = f"output: {{method: rank}}\nscorers: [{{name: understanding, metrics: {METRICS}}}]\n"
    contrast = only(compared(tmp_path, release, extra, [Sure("honest", 0.75), Sure("boasting", 0.97)]))
    assert [one.metric for one in contrast.differences] == ["accuracy", "ece", "brier"]
    runs = [read_scored_run(tmp_path / name).result.tasks["text_only"].metrics for name in ("honest", "boasting")]
    for metric in ("ece", "brier"):
        one = of_metric(contrast, metric)
        assert [one.first, one.second] == pytest.approx([run[metric].value for run in runs])
        assert one.difference.value == pytest.approx(runs[1][metric].value - runs[0][metric].value)
        assert (one.n, one.n_undefined, one.difference.n_clusters, one.test) == (40, 0, 40, "sign-flip")
    ece = of_metric(contrast, "ece")
    # Equal confidences share a bin wherever their label stands, so that an honest forecaster has no error.
    assert (ece.first, ece.second) == (pytest.approx(0, abs=1e-4), pytest.approx(0.22, abs=1e-4))
    assert ece.difference.value is not None
    assert ece.difference.ci_low is not None
    assert ece.difference.ci_high is not None
    assert ece.difference.ci_low < ece.difference.value < ece.difference.ci_high
    assert ece.p_value is not None
    assert 0 < ece.p_value < 0.05
    assert contrast.notes == ()


def test_calibration_of_generated_labels_is_named_as_what_cannot_be_compared(release: Path, tmp_path: Path) -> None:
    extra = f"scorers: [{{name: understanding, metrics: {METRICS}}}]\n"
    comparison = compared(tmp_path, release, extra, [Sure("one", 0.75), Sure("other", 0.9)])
    assert [one.metric for one in only(comparison).differences] == ["accuracy"]
    assert only(comparison).notes == ("not compared: ece, brier: labels were generated, not ranked",)
    assert "not compared: ece, brier: labels were generated, not ranked" in format_comparison(comparison)


class WordsScorer:
    """Letters of each answer, which it gives for each, and the longest, which it gives for all alone."""

    metrics = frozenset({"letters", "longest"})

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        counts = [len((answer.scorable and answer.scorable.text) or "") for answer in answers]
        lines = tuple(
            ScoreLine.of(answer, None, "spoken", "", {"letters": float(count)})
            if answer.scorable
            else ScoreLine.unscored(answer)
            for answer, count in zip(answers, counts, strict=True)
        )
        values = {"letters": sum(counts) / len(counts), "longest": float(max(counts))}
        metrics = {name: MetricValue(value, None, None, len(counts), 0, 0) for name, value in values.items()}
        return TaskScores(metrics, lines, {})


def test_a_package_s_metric_is_compared_by_its_values_of_items_or_named(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(scorers.SCORERS, "words", f"{__name__}:WordsScorer")
    monkeypatch.setitem(BUILT_IN, "words", tuple(map(unknown_metric, sorted(WordsScorer.metrics))))
    monkeypatch.setattr(sys.modules[__name__], "WordsScorer", WordsScorer)
    extra = "headline: letters\nscorers: [{name: words, metrics: [letters, longest]}]\n"
    contrast = only(compared(tmp_path, release, extra, [Sure("one", 0.75), Sure("other", 0.9)]))
    letters = of_metric(contrast, "letters")
    assert letters.first == read_scored_run(tmp_path / "one").result.tasks["text_only"].metrics["letters"].value
    assert (letters.difference.value, letters.n) == (0, 40)
    assert contrast.notes == ("not compared: longest: the scorer words gives them no values of single items",)


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
    monkeypatch.setenv("AVEMO_JUDGE", "embedded")
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


def test_a_metric_of_replies_with_columns_of_its_own_is_compared_beside_the_others(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lengths(exchanges: Sequence[Exchange], profile: Profile) -> dict[str, Column]:
        values = [float(len(one.reply)) for one in exchanges]
        return {"steps": Column(np.array(values), [one.dialogue for one in exchanges], high=math.inf)}

    folders = stage.run(Singing("first", 0.9)), stage.run(Singing("second", 0.2))
    runs = [read_scored_run(folder) for folder in folders]
    pairs = list(zip(*(run.lines[TASK].values() for run in runs), strict=True))
    steps = Metric("steps", high=math.inf, of_exchanges=lengths, needs_judge=True)
    metrics = [next(one for one in BUILT_IN["reasoning"] if one.name == "ecs_audio"), steps]
    for order in (metrics, metrics[::-1]):
        found, refusal = paired_differences(order, pairs, (runs[0], runs[1]), runs[0].task(TASK), EMOTIONS)
        assert (set(found), refusal) == ({"ecs_audio", "steps"}, None)
        assert (found["steps"].first, found["steps"].difference.value) == (2.0, 0.0)


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
