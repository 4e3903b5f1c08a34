"""Answers are scored by the raters of the same recording; ties and items without votes are left out and counted."""

from __future__ import annotations

import math

import pytest
from support.answers import answer_to
from support.planned import make_task

from avemo_harness.benchmark.request import OTHER_VOTES, Item, StoredResponse
from avemo_harness.scorers import load_scorer
from avemo_harness.scorers.base import Answer, TaskScores

LABELS = ["happy", "sad", "angry"]
TEXT = {"type": "text", "text": "Which?"}
MESSAGES = [{"role": "user", "content": [TEXT]}]
NAMED = make_task(output={"type": "label", "labels": LABELS}, messages=MESSAGES)
RANKED = make_task(output={"type": "label", "labels": LABELS, "method": "rank"}, messages=MESSAGES)


def voted(number: int, **raters: int) -> Item:
    name = f"d{number}"
    return Item("t", f"{name}/0", name, name, name, 0, "full_av", gold="happy", votes=tuple(raters.items()))


def value(scores: TaskScores, name: str) -> float | None:
    return scores.metrics[name].value


def test_an_answer_counts_by_the_share_of_raters_that_gave_it_and_by_their_majority() -> None:
    answers = [
        answer_to(voted(0, happy=6, sad=2), "happy"),
        answer_to(voted(1, happy=6, sad=2), "sad"),
        answer_to(voted(2, happy=4, sad=4), "sad"),
        answer_to(voted(3, angry=8), "no idea"),
    ]
    scores = load_scorer("raters").score(NAMED, answers)
    assert value(scores, "vote_accuracy") == pytest.approx(1 / 3)
    assert value(scores, "vote_share") == pytest.approx((6 / 8 + 2 / 8 + 4 / 8 + 0) / 4)
    accuracy = scores.metrics["vote_accuracy"]
    assert (accuracy.n, accuracy.n_undefined, accuracy.n_invalid) == (3, 1, 1)
    assert scores.details["raters"] == {"n_voted": 4, "n_without_votes": 0, "n_tied": 1, "raters_an_item": 8.0}


def test_what_a_typical_rater_reaches_is_of_the_items_and_of_no_answer() -> None:
    items = [voted(number, happy=3, sad=1) for number in range(6)]
    found = [load_scorer("raters").score(NAMED, [answer_to(item, said) for item in items]) for said in ("happy", "sad")]
    assert [value(scores, "rater_share") for scores in found] == [0.5, 0.5]
    assert [value(scores, "rater_accuracy") for scores in found] == [0.75, 0.75]
    assert [value(scores, "vote_accuracy") for scores in found] == [1.0, 0.0]


def test_raters_who_chose_what_is_no_label_of_the_task_count_as_raters() -> None:
    items = [voted(number, happy=4, **{OTHER_VOTES: 2}) for number in range(6)]
    scores = load_scorer("raters").score(NAMED, [answer_to(item, "happy") for item in items])
    assert value(scores, "vote_share") == pytest.approx(4 / 6)
    assert value(scores, "rater_share") == pytest.approx((4 * 3 + 2 * 1) / (6 * 5))
    assert value(scores, "rater_accuracy") == pytest.approx(4 / 6)
    assert value(scores, "vote_accuracy") == 1.0
    assert scores.details["raters"]["raters_an_item"] == 6.0


def test_no_answer_is_held_against_a_majority_for_what_is_no_label() -> None:
    other = voted(0, happy=1, **{OTHER_VOTES: 3})
    scores = load_scorer("raters").score(NAMED, [answer_to(other, "happy"), answer_to(voted(1, sad=2), "sad")])
    assert [scores.metrics[name].n for name in ("vote_accuracy", "rater_accuracy", "vote_share")] == [1, 1, 2]
    ranked = load_scorer("raters").score(RANKED, [ranking(other, 1 - 2e-9, 1e-9, 1e-9)])
    assert value(ranked, "vote_kl") == pytest.approx(0.0, abs=1e-6)


def test_an_item_that_nobody_voted_on_is_counted_and_has_no_value() -> None:
    scores = load_scorer("raters").score(NAMED, [answer_to(voted(0), "sad"), answer_to(voted(1, sad=2), "sad")])
    assert (value(scores, "vote_share"), scores.metrics["vote_share"].n) == (1.0, 1)
    assert scores.details["raters"]["n_without_votes"] == 1
    assert [line.verdict for line in scores.lines] == ["no truth", "compared"]


def test_an_answer_that_is_missing_has_no_value_and_raters_are_known_all_the_same() -> None:
    missing = Answer(voted(0, happy=3, sad=1), None, None)
    scores = load_scorer("raters").score(NAMED, [missing, answer_to(voted(1, sad=2), "sad")])
    assert [line.verdict for line in scores.lines] == ["missing", "compared"]
    assert scores.metrics["rater_share"].n == 1


def ranking(item: Item, *probabilities: float) -> Answer:
    logprobs = dict(zip(LABELS, map(math.log, probabilities), strict=True))
    return Answer(item, StoredResponse(task="t", item=item.item_id, label_logprobs=logprobs))


def test_probabilities_of_ranked_labels_are_held_against_the_shares_of_votes() -> None:
    answers = [ranking(voted(0, happy=2, sad=2), 0.5, 0.5, 1e-12), ranking(voted(1, sad=4), 0.25, 0.5, 0.25)]
    scores = load_scorer("raters").score(RANKED, answers)
    assert value(scores, "vote_kl") == pytest.approx(math.log(2) / 2, abs=1e-9)
    assert value(scores, "vote_cross_entropy") == pytest.approx(math.log(2), abs=1e-9)
    assert value(load_scorer("raters").score(NAMED, [answer_to(voted(0, sad=2), "sad")]), "vote_kl") is None
