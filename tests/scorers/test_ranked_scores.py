"""Ranked answers: which score decides, how sure the answers are, and whether they may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from support.answers import answer_to, with_response

from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.metrics.calibration import expected_calibration_error
from avemo_harness.scorers import METRICS, load_scorer
from avemo_harness.scorers.base import Answer

LABELS = ("neutral", "happy", "angry", "sad")
LIBRARY = TaskLibrary(METRICS)
GENERATED = LIBRARY.load(["demo_full_av"])[0].spec
RANKED = LIBRARY.load(["multiturn_real_full_av_ranked"])[0].spec


def by(way: str, task: TaskSpec = RANKED) -> TaskSpec:
    output = task.output.model_copy(update={"method": "rank", "rank_by": way})
    return task.model_copy(update={"output": output})


def ranked(number: int, gold: str | None, probabilities: list[float], **more: object) -> Answer:
    dialogue = f"d{number // 3}"
    item = Item("task", f"{dialogue}/{number}", dialogue, dialogue, dialogue, number, "full_av", gold=gold)
    logprobs = {label: float(np.log(p)) for label, p in zip(LABELS, probabilities, strict=True)}
    return answer_to(item, label_logprobs=logprobs, **more)


def many(items: int, seed: int = 0) -> tuple[list[Answer], np.ndarray, np.ndarray]:
    """Answers with their probabilities and the index of their gold label."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), items)
    gold = rng.integers(0, 4, items)
    return (
        [ranked(i, LABELS[g], p.tolist()) for i, (g, p) in enumerate(zip(gold, probabilities, strict=True))],
        probabilities,
        gold,
    )


def test_ece_and_brier_are_of_the_probabilities_of_the_labels_with_an_interval() -> None:
    answers, probabilities, gold = many(90)
    metrics = load_scorer("understanding").score(RANKED, answers).metrics
    hits = (probabilities.argmax(axis=1) == gold).astype(float)
    brier = sum(
        brier_score_loss((gold == label).astype(int), probabilities[:, label], pos_label=1) for label in range(4)
    )
    assert metrics["ece"].value == pytest.approx(float(expected_calibration_error(probabilities.max(axis=1), hits)))
    assert metrics["brier"].value == pytest.approx(brier)
    assert metrics["accuracy"].value == pytest.approx(hits.mean())
    for name in ("ece", "brier"):
        assert metrics[name].ci_low < metrics[name].value < metrics[name].ci_high
        assert (metrics[name].n, metrics[name].n_invalid, metrics[name].n_errors) == (90, 0, 0)


def test_the_turns_of_a_dialogue_are_one_draw() -> None:
    answers, _, _ = many(60)
    repeated = [
        replace(answer, item=replace(answer.item, item_id=f"{answer.item.item_id}+{copy}"))
        for answer in answers
        for copy in range(4)
    ]
    one, four = (load_scorer("understanding").score(RANKED, some).metrics["brier"] for some in (answers, repeated))
    assert (four.ci_low, four.value, four.ci_high) == pytest.approx((one.ci_low, one.value, one.ci_high))


def test_generated_answers_have_no_calibration() -> None:
    text = with_response(ranked(0, "sad", [0.1, 0.2, 0.3, 0.4]), text="sad")
    scores = load_scorer("understanding").score(GENERATED, [text])
    assert scores.metrics["accuracy"].value == 1.0
    assert [(scores.metrics[name].value, scores.metrics[name].n) for name in ("ece", "brier")] == [(None, 0)] * 2
    assert "ranking" not in scores.details


def test_every_way_of_ranking_is_told_beside_the_one_that_decided() -> None:
    tokens = dict(zip(LABELS, (1, 1, 1, 4), strict=True))
    priors = dict(zip(LABELS, (-9.0, -1.0, -1.0, -1.0), strict=True))
    answers = [
        ranked(0, "sad", [0.1, 0.5, 0.2, 0.2], label_tokens=tokens, label_priors=priors),
        ranked(3, "neutral", [0.1, 0.5, 0.2, 0.2], label_tokens=tokens, label_priors=priors),
        ranked(6, "happy", [0.1, 0.5, 0.2, 0.2]),
    ]
    details = load_scorer("understanding").score(by("length_normalised"), answers).details["ranking"]
    assert details["decided_by"] == "length_normalised"
    assert details["accuracy_by"] == {
        "raw": {"accuracy": pytest.approx(1 / 3), "n": 3},
        "length_normalised": {"accuracy": 0.5, "n": 2},
        "prior_corrected": {"accuracy": 0.5, "n": 2},
    }


def test_an_answer_that_cannot_be_ranked_is_wrong_and_forecasts_nothing() -> None:
    answers = [ranked(0, "sad", [0.1, 0.1, 0.1, 0.7]), ranked(3, "sad", [0.1, 0.1, 0.1, 0.7])]
    answers[0] = with_response(answers[0], label_priors=dict.fromkeys(LABELS, -1.0))
    scores = load_scorer("understanding").score(by("prior_corrected"), answers)
    assert (scores.metrics["accuracy"].value, scores.metrics["accuracy"].n) == (0.5, 2)
    assert (scores.metrics["brier"].n, scores.metrics["brier"].n_invalid) == (1, 1)
    assert scores.metrics["ece"].value == pytest.approx(0.3)
    assert "prior_corrected" in scores.lines[1].why


def test_errors_and_missing_items_forecast_nothing() -> None:
    item = ranked(0, "sad", [0.25] * 4).item
    scores = load_scorer("understanding").score(RANKED, [answer_to(item, error="broken"), Answer(item)])
    assert [scores.metrics[name].value for name in ("ece", "brier")] == [None, None]
    assert scores.details["ranking"]["mean_confidence"] is None
    assert scores.details["ranking"]["reliability"] == []


def test_confidence_stands_against_accuracy_bin_by_bin() -> None:
    answers, probabilities, _ = many(40)
    details = load_scorer("understanding").score(RANKED, answers).details["ranking"]
    assert details["mean_confidence"] == pytest.approx(probabilities.max(axis=1).mean())
    assert [one["n"] for one in details["reliability"]] == [4] * 10
    assert set(details["reliability"][0]) == {"lower", "upper", "confidence", "accuracy", "n"}


def test_a_conflict_is_read_by_what_decides_the_ranking() -> None:
    conflict = by("prior_corrected", LIBRARY.load(["demo_conflict"])[0].spec)
    item = replace(ranked(0, None, [0.25] * 4).item, audio_label="happy", video_label="sad")
    priors = dict(zip(LABELS, (-1.0, -1.0, -1.0, -5.0), strict=True))
    answer = replace(ranked(0, None, [0.1, 0.6, 0.1, 0.2], label_priors=priors), item=item)
    scorer = load_scorer("modality_preference")
    assert scorer.score(conflict, [answer]).metrics["var"].value == 1.0
    raw = by("raw", LIBRARY.load(["demo_conflict"])[0].spec)
    assert scorer.score(raw, [answer]).metrics["aar"].value == 1.0
    without = scorer.score(conflict, [with_response(answer, label_priors=None)])
    assert (without.metrics["olr"].value, without.details["invalid_rate"]) == (1.0, 1.0)
