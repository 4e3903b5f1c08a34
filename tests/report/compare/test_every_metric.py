"""Whatever a run reports is compared, calibration and a package's own metrics too, or it is named with a reason."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.one_by_one import OneByOne
from support.releases import write_text_release, write_text_task

from avemo_harness import evaluate, scorers
from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.models.base import Capabilities
from avemo_harness.report.compare import compare_runs
from avemo_harness.report.comparison import Comparison, Contrast, MetricDifference, format_comparison
from avemo_harness.report.scored_run import read_scored_run
from avemo_harness.scorers.base import Answer, MetricValue, ScoreLine, TaskScores
from avemo_harness.scorers.metric import BUILT_IN, unknown_metric

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
