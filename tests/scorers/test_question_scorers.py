"""Scores of choices, numbers and texts where little or nothing can be said."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn import metrics as sk
from support.answers import answer_to
from support.planned import make_task

from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.errors import UsageError
from avemo_harness.metrics import classification
from avemo_harness.scorers import load_scorer
from avemo_harness.scorers.base import Answer, TaskScores
from avemo_harness.scorers.metric import BUILT_IN

TEXT = {"type": "text", "text": "Which?"}


def task(**output: Any) -> TaskSpec:
    return make_task(output=output, messages=[{"role": "user", "content": [TEXT]}])


CHOICE = task(type="choice")
NUMBER = task(type="number", low=-1.0, high=1.0)
WORDS = task(type="text")


def choice(number: int, gold: str, order: tuple[int, ...] = (0, 1), rotation: str = "") -> Item:
    choices = tuple(("calm", "loud", "slow")[index] for index in order)
    name = f"d{number}"
    return Item("t", f"{name}/0{rotation}", name, name, name, 0, "full_av", gold=gold, order=order, choices=choices)


def turn(number: int, gold: str | None, dialogue: str | None = None) -> Item:
    dialogue = dialogue or f"d{number}"
    return Item("t", f"{dialogue}/{number}", dialogue, dialogue, dialogue, number, "full_av", gold=gold)


def value(scores: TaskScores, name: str) -> float | None:
    return scores.metrics[name].value


def test_a_choice_of_nothing_but_invalid_answers_is_wrong_without_a_bias() -> None:
    answers = [answer_to(choice(i, "AB"[i % 2]), "no idea") for i in range(8)]
    scores = load_scorer("choice").score(CHOICE, answers)
    assert (value(scores, "accuracy"), value(scores, "position_bias")) == (0.0, None)
    assert scores.metrics["accuracy"].n_invalid == 8
    assert scores.metrics["position_bias"].n_undefined == 8


def test_a_bias_is_undefined_where_one_letter_is_always_right() -> None:
    scores = load_scorer("choice").score(CHOICE, [answer_to(choice(i, "A"), "A") for i in range(8)])
    assert (value(scores, "accuracy"), value(scores, "position_bias")) == (1.0, None)


def test_few_dialogues_have_no_interval_and_errors_are_not_scored() -> None:
    answers = [answer_to(choice(i, "AB"[i % 2]), "A") for i in range(4)]
    answers.append(answer_to(choice(4, "A"), error="GenerationError: broken"))
    metric = load_scorer("choice").score(CHOICE, answers).metrics["accuracy"]
    assert (metric.value, metric.n, metric.n_errors, metric.ci_low) == (0.5, 4, 1, None)
    assert metric.note == "too few dialogues"


def test_consistency_is_of_turns_of_which_every_rotation_is_scored() -> None:
    orders = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    said = {0: "ACB", 1: "AAA", 2: "A?B"}
    answers = [
        answer_to(choice(number, "A", order, f"@{start}"), letters[start])
        for number, letters in said.items()
        for start, order in enumerate(orders)
    ]
    answers.append(answer_to(choice(3, "A", orders[0], "@0"), "A"))
    answers.append(answer_to(choice(3, "A", orders[1], "@1"), error="GenerationError: broken"))
    metric = load_scorer("choice").score(task(type="choice", order="rotations"), answers).metrics["consistency"]
    assert (metric.value, metric.n) == (pytest.approx(1 / 3), 3)


def test_numbers_agree_with_their_definitions() -> None:
    rng = np.random.default_rng(3)
    truth = rng.uniform(-1, 1, 40).round(2)
    told = np.clip(0.6 * truth + rng.normal(0, 0.3, 40), -1, 1).round(2)
    answers = [answer_to(turn(i, str(truth[i])), f"{told[i]}") for i in range(40)]
    scores = load_scorer("numbers").score(NUMBER, answers)
    ccc = 2 * np.cov(told, truth, ddof=0)[0, 1] / (told.var() + truth.var() + (told.mean() - truth.mean()) ** 2)
    assert value(scores, "ccc") == pytest.approx(ccc)
    assert value(scores, "mae") == pytest.approx(np.abs(told - truth).mean())
    assert value(scores, "pearson") == pytest.approx(pearsonr(told, truth).statistic)
    for name in ("ccc", "mae", "pearson"):
        metric = scores.metrics[name]
        assert metric.ci_low is not None
        assert metric.value is not None
        assert metric.ci_high is not None
        assert metric.ci_low < metric.value < metric.ci_high


def test_agreement_is_undefined_where_the_truth_is_constant_and_error_is_not() -> None:
    answers = [answer_to(turn(i, "0.5"), str(i / 10)) for i in range(6)]
    scores = load_scorer("numbers").score(NUMBER, answers)
    assert (value(scores, "ccc"), value(scores, "pearson")) == (None, None)
    assert value(scores, "mae") == pytest.approx(0.25)


def test_numbers_of_nothing_but_invalid_answers_are_undefined() -> None:
    scores = load_scorer("numbers").score(NUMBER, [answer_to(turn(i, "0.5"), "much") for i in range(6)])
    assert [value(scores, name) for name in ("ccc", "mae", "pearson", "answered")] == [None, None, None, 0.0]


def test_a_text_without_words_is_wrong_and_invalid() -> None:
    answers = [answer_to(turn(0, "joy"), ""), answer_to(turn(1, "joy"), "<think>joy"), answer_to(turn(2, "joy"), "Joy")]
    scores = load_scorer("text_match").score(WORDS, answers)
    assert (value(scores, "normalised_match"), value(scores, "exact_match")) == (pytest.approx(1 / 3), 0.0)
    assert scores.metrics["normalised_match"].n_invalid == 2


def test_recall_and_weighted_f1_agree_with_scikit_learn() -> None:
    gold, said = [0, 0, 0, 1, 2, 2], [0, 1, 0, 1, 0, 2]
    counts = classification.confusion_counts(gold, said, labels=3)
    by_name = {metric.name: metric for metric in BUILT_IN["understanding"]}
    assert by_name["uar"].of_counts(counts) == pytest.approx(sk.recall_score(gold, said, average="macro"))
    assert by_name["weighted_f1"].of_counts(counts) == pytest.approx(sk.f1_score(gold, said, average="weighted"))


MODULE = """
import datasets
import evaluate


class Overlap(evaluate.Metric):
    def _info(self):
        features = datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references, scale=1.0):
        pairs = [(set(p.split()), set(r.split())) for p, r in zip(predictions, references)]
        return {"overlap": scale * sum(len(p & r) / len(p | r) for p, r in pairs) / len(pairs), "empty": 0.0}
"""


@pytest.fixture
def overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of a metric for `evaluate`: the share of words that two texts have in common."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "overlap"
    folder.mkdir()
    (folder / "overlap.py").write_text(MODULE)
    return str(folder)


@pytest.mark.slow
def test_similarity_is_the_mean_of_a_metric_of_evaluate_item_by_item(overlap: str) -> None:
    answers = [answer_to(turn(0, "a b"), "a b"), answer_to(turn(1, "a b"), "a c"), answer_to(turn(2, "a b"), "")]
    scorer = load_scorer("text_similarity", {"metric": overlap, "key": "overlap", "settings": {"scale": 0.5}})
    scores = scorer.score(WORDS, answers)
    assert value(scores, "similarity") == pytest.approx(0.5 * (1 + 1 / 3) / 3)
    assert [line.values["similarity"] for line in scores.lines] == pytest.approx([0.5, 0.5 / 3, 0.0])


@pytest.mark.slow
def test_a_metric_that_gives_several_numbers_needs_the_name_of_one(overlap: str) -> None:
    scorer = load_scorer("text_similarity", {"metric": overlap})
    with pytest.raises(UsageError, match="gives overlap, empty; name one by the parameter key"):
        scorer.score(WORDS, [answer_to(turn(0, "a"), "a")])


def test_a_metric_that_cannot_be_loaded_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"text_similarity: .*nothing") as refused:
        load_scorer("text_similarity", {"metric": missing}).score(WORDS, [answer_to(turn(0, "a"), "a")])
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500
    import builtins

    real = builtins.__import__

    def without_evaluate(name: str, *others: Any) -> Any:
        if name == "evaluate":
            raise ModuleNotFoundError("No module named 'evaluate'", name="evaluate")
        return real(name, *others)

    monkeypatch.setattr(builtins, "__import__", without_evaluate)
    with pytest.raises(UsageError, match=r"needs a package that is not installed .*; pip install evaluate"):
        load_scorer("text_similarity", {"metric": missing}).score(WORDS, [answer_to(turn(0, "a"), "a")])


def test_items_that_cannot_be_scored_ask_for_no_metric() -> None:
    scores = load_scorer("text_similarity", {"metric": "there is none"}).score(WORDS, [Answer(turn(0, None))])
    assert value(scores, "similarity") is None
    assert math.isinf(scores.metrics["similarity"].n_errors) is False
