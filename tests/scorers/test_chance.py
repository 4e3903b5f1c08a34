"""Chance levels are those of guesses that are made and scored, over the items that were asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from support.answers import answer_to
from support.planned import make_task

from avemo_harness.benchmark.request import Item
from avemo_harness.scorers.base import Answer
from avemo_harness.scorers.chance import MOST_FREQUENT, UNIFORM, chance_rows

LABELS = ("neutral", "happy", "angry", "sad")
GOLD = ["sad"] * 6 + ["happy"] * 3 + ["angry"]


def answers_to(gold: Sequence[str], orders: Sequence[tuple[int, ...]] = ()) -> list[Answer]:
    items = [
        Item("t", f"d{n}/0", f"d{n}", f"d{n}", f"d{n}", 0, "full_av", gold=label, order=orders[n] if orders else ())
        for n, label in enumerate(gold)
    ]
    return [answer_to(item, "sad") for item in items]


def test_always_naming_the_most_frequent_label_scores_as_it_does_elsewhere() -> None:
    metrics = ["accuracy", "macro_f1", "uar", "ece"]
    task = make_task(scorers=[{"name": "understanding", "metrics": metrics}], headline="accuracy")
    row = chance_rows(task, answers_to(GOLD))[MOST_FREQUENT]
    guesses = ["sad"] * len(GOLD)
    assert row.keys() == {"accuracy", "macro_f1", "uar"}
    assert row["accuracy"].value == accuracy_score(GOLD, guesses) == 0.6
    assert row["uar"].value == pytest.approx(balanced_accuracy_score(GOLD, guesses))
    present = sorted(set(GOLD))
    assert row["macro_f1"].value == pytest.approx(f1_score(GOLD, guesses, labels=present, average="macro"))
    assert {metric.n for metric in row.values()} == {10}


def test_guessing_among_labels_is_what_many_guesses_come_to() -> None:
    task = make_task(scorers=[{"name": "understanding", "metrics": ["accuracy", "uar"]}], headline="accuracy")
    row = chance_rows(task, answers_to(GOLD))[UNIFORM]
    random = np.random.default_rng(0)
    guessed = [random.choice(LABELS, len(GOLD)) for _ in range(4000)]
    assert row["accuracy"].value == pytest.approx(np.mean([accuracy_score(GOLD, one) for one in guessed]), abs=0.01)
    assert (row["accuracy"].value, row["uar"].value) == (pytest.approx(0.25), pytest.approx(0.25))


def test_letters_are_guessed_among_the_options_of_each_item() -> None:
    task = make_task(
        output={"type": "choice"}, scorers=[{"name": "choice", "metrics": ["accuracy"]}], headline="accuracy"
    )
    rows = chance_rows(task, answers_to(["A", "B", "A"], [(0, 1), (0, 1, 2, 3), (1, 0)]))
    assert rows[UNIFORM]["accuracy"].value == pytest.approx((1 / 2 + 1 / 4 + 1 / 2) / 3)
    assert rows[MOST_FREQUENT]["accuracy"].value == pytest.approx(2 / 3)


def test_what_is_no_label_and_no_letter_has_no_chance_level() -> None:
    number = {"type": "number", "low": 1, "high": 5}
    task = make_task(output=number, scorers=[{"name": "numbers", "metrics": ["mae"]}], headline="mae")
    assert chance_rows(task, answers_to(["3"])) == {}
