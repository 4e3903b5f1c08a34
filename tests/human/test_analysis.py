"""From ratings to a table: planted scores are found, exclusions follow the plan, results join the runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from human.studies import write_small_study
from support.hostile_text import hostile_texts

from avemo_harness.errors import UsageError
from avemo_harness.human.analysis import HumanResult, analyze, exclusions, write_result, write_tables
from avemo_harness.human.ratings import CollectedRating, Collection, read_collection
from avemo_harness.human.study import ExclusionRules, Study, StudyItem, StudyKey, read_key

Rater = Callable[[StudyItem], Mapping[str, int]]


class Planned:
    """A study of 30 dialogues whose sessions are filled in by a function."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.study: Study = write_small_study(folder, dialogues=30, seconds=2.0)
        self.key: StudyKey = read_key(folder)

    def collect(self, rate: Rater, sessions: int | None = None) -> list[CollectedRating]:
        """Ratings of each session's rater; of gold items and traps those that are expected."""
        items = self.study.by_id()
        return [
            CollectedRating(
                f"rater{number}",
                items[one.item],
                one.repeat,
                {**rate(items[one.item]), **items[one.item].expected},
                seconds=10.0,
            )
            for number, session in enumerate(self.study.sessions[:sessions])
            for one in session.showings
        ]

    def of(self, item: StudyItem) -> str:
        return self.key.items[item.item_id].system

    def analyze(self, ratings: list[CollectedRating]) -> HumanResult:
        return analyze(self.study, self.key, ratings)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    return Planned(tmp_path_factory.mktemp("planned") / "study")


def people(planned: Planned, seed: int = 0, gap: float = 0.5) -> Rater:
    """Raters with noise, for whom one system is better by `gap` points."""
    rng = np.random.default_rng(seed)

    def rate(item: StudyItem) -> Mapping[str, int]:
        mean = 3 + (gap if planned.of(item) == "calm" else 0)
        drawn = np.clip(np.round(mean + rng.normal(0, 0.8, 3)), 1, 5)
        return dict(zip(("er", "en", "rr"), map(int, drawn), strict=True))

    return rate


def test_scores_are_means_of_item_means_on_the_unit_scale(planned: Planned) -> None:
    result = planned.analyze(
        planned.collect(lambda item: {"er": 5, "en": 3, "rr": 2 if planned.of(item) == "calm" else 4})
    )
    values = {name: metric.value for name, metric in result.of_everyone.systems["calm"].items()}
    assert values == pytest.approx({"ER": 1.0, "EN": 0.5, "RR": 0.25, "ERS": (1.0 + 0.5 + 0.25) / 3})
    assert result.of_everyone.systems["loud"]["RR"].value == 0.75
    assert result.of_everyone.systems["calm"]["ER"].n == 30
    assert result.planned == result.of_everyone.ratings == 300


def test_ers_is_the_mean_of_the_three_also_where_not_all_were_rated(planned: Planned) -> None:
    rate = people(planned)
    ratings = [
        replace(one, ratings={"er": one.ratings["er"]}) if number % 3 == 0 else one
        for number, one in enumerate(planned.collect(rate))
    ]
    values = {name: one.value for name, one in planned.analyze(ratings).of_everyone.systems["calm"].items()}
    assert values["ERS"] == pytest.approx(np.mean([values[name] for name in ("ER", "EN", "RR")]))


def test_who_leaves_out_too_much_is_left_out(planned: Planned) -> None:
    ratings = planned.collect(people(planned), sessions=1)

    def lost(number: int) -> list[CollectedRating]:
        return [replace(one, ratings={}, problem="x") if i < number else one for i, one in enumerate(ratings)]

    assert exclusions(lost(3), ExclusionRules()) == {}
    assert exclusions(lost(4), ExclusionRules()) == {"rater0": ("4 items left out as not working",)}


def test_a_planted_difference_is_found_and_none_where_there_is_none(planned: Planned) -> None:
    (found,) = planned.analyze(planned.collect(people(planned, gap=1.0))).scores.differences
    assert (found.of, found.to) == ("calm", "loud")
    ers = found.columns["ERS"]
    assert ers.value == pytest.approx(0.25, abs=0.06)
    assert ers.ci_low is not None
    assert ers.ci_low > 0
    (none,) = planned.analyze(planned.collect(people(planned, gap=0.0))).scores.differences
    ers = none.columns["ERS"]
    assert ers.ci_low is not None
    assert ers.ci_high is not None
    assert ers.ci_low < 0 < ers.ci_high


def test_repeats_tell_how_far_raters_agree_with_themselves(planned: Planned) -> None:
    steady = planned.analyze(planned.collect(lambda item: {"er": 1 + int(item.item_id, 16) % 5, "en": 2, "rr": 3}))
    assert steady.repeats.n == sum(one.repeat for session in planned.study.sessions for one in session.showings)
    assert set(steady.repeats.alike.values()) == {1.0}
    noisy = planned.analyze(planned.collect(people(planned)))
    assert set(noisy.repeats.alike) == {"ER", "EN", "RR"}
    assert all(noisy.repeats.alike[name] < noisy.repeats.within_one[name] <= 1 for name in noisy.repeats.alike)


def test_raters_are_left_out_by_the_plan_and_results_told_both_ways(planned: Planned) -> None:
    ratings = planned.collect(people(planned))
    worst = [
        CollectedRating(one.rater, one.item, one.repeat, dict.fromkeys(("er", "en", "rr"), 1), one.seconds)
        if one.rater == "rater0"
        else one
        for one in ratings
    ]
    result = planned.analyze(worst)
    assert set(result.excluded) == {"rater0"}
    assert result.scores.raters == result.of_everyone.raters - 1 == 9
    assert result.short_items == 30
    calm, everyone = (scores.systems["calm"]["ERS"].value for scores in (result.scores, result.of_everyone))
    assert calm is not None
    assert everyone is not None
    assert calm > everyone


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"trap": {"er": 3, "en": 4, "rr": 4}}, "3 traps failed"),
        ({"gold": {"er": 4, "en": 4, "rr": 3}}, "3 gold items off by 2 points or more"),
        ({"gold": {"er": 4, "en": 4, "rr": 2}}, None),
        ({"rated": {"er": 3, "en": 3, "rr": 3}}, "one and the same rating throughout"),
        ({"rated": {"er": 3, "en": 2, "rr": 1}}, "one and the same rating throughout"),
    ],
)
def test_each_rule_leaves_out_whom_it_should(
    planned: Planned, given: dict[str, dict[str, int]], reason: str | None
) -> None:
    careful = people(planned)
    items = planned.study.by_id()
    ratings = [
        CollectedRating(
            "one", items[showing.item], showing.repeat, {**careful(items[showing.item]), **items[showing.item].expected}
        )
        for showing in planned.study.sessions[0].showings
    ]
    changed = [
        CollectedRating(one.rater, one.item, one.repeat, given.get(one.item.kind, one.ratings)) for one in ratings
    ]
    assert exclusions(ratings, ExclusionRules()) == {}
    assert exclusions(changed, ExclusionRules()) == ({"one": (reason,)} if reason else {})


def test_who_rates_faster_than_the_items_last_is_left_out(planned: Planned) -> None:
    ratings = planned.collect(people(planned), sessions=1)
    fast = [CollectedRating(one.rater, one.item, one.repeat, one.ratings, seconds=1.0) for one in ratings]
    assert exclusions(fast, ExclusionRules())["rater0"] == ("half of the items rated within 0.25 of their length",)


def test_without_any_rater_nothing_is_said(planned: Planned) -> None:
    for ratings in ([], planned.collect(lambda item: {"er": 3, "en": 3, "rr": 3})):
        result = planned.analyze(ratings)
        assert result.scores.systems["calm"]["ERS"].value is None
        assert result.scores.agreement["ER"].alpha.value is None
        assert result.scores.raters == 0


def test_a_reply_that_did_not_play_is_counted_and_not_scored(planned: Planned) -> None:
    ratings = planned.collect(people(planned))
    lost = next(one for one in ratings if one.item.kind == "rated" and not one.repeat)
    ratings[ratings.index(lost)] = CollectedRating(lost.rater, lost.item, False, {}, None, "no sound")
    result = planned.analyze(ratings)
    assert result.scores.systems[planned.of(lost.item)]["ER"].n_errors == 1
    assert result.scores.ratings == 299
    assert result.short_items == 1


def test_the_order_of_ratings_does_not_matter(planned: Planned) -> None:
    ratings = planned.collect(people(planned))
    assert planned.analyze(ratings) == planned.analyze(ratings[::-1])


def test_results_join_the_runs_that_are_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    write_small_study(tmp_path / "study", dialogues=10, runs={"calm": run, "loud": tmp_path / "gone"})
    other = Planned(tmp_path / "planned")
    other.key = read_key(tmp_path / "planned")
    result = other.analyze(other.collect(people(other)))
    said: list[str] = []
    write_result(tmp_path / "study", read_key(tmp_path / "study"), result, said.append)
    joined = json.loads((run / "human" / "demo_reply.json").read_text())
    assert (joined["task"], joined["group"], joined["label"]) == ("demo_reply", "demo", "calm")
    assert set(joined["columns"]) == {"ER", "EN", "RR", "ERS"}
    assert joined["scales"] == "av-emo-2"
    counts = {"n", "n_invalid", "n_errors", "n_undefined", "n_clusters"}
    assert set(joined["columns"]["ER"]) == {"value", "ci_low", "ci_high", "note", "marks", *counts}
    assert len(said) == 1
    assert "gone" in said[0]
    write_result(tmp_path / "later", read_key(tmp_path / "study"), result, said.append)
    assert f"the scores of {tmp_path / 'study'} are replaced by those of {tmp_path / 'later'}" in said[1]
    whole = json.loads((tmp_path / "study" / "human.json").read_text())
    assert whole["scores"]["systems"]["calm"]["ER"] == joined["columns"]["ER"]


def test_tables_hold_no_formula_and_no_control_character(planned: Planned, tmp_path: Path) -> None:
    item = planned.study.items[0]
    ratings = tuple(CollectedRating("r1", item, False, {}, None, text) for text in hostile_texts())
    collection = Collection(ratings, {"r1": ("rating", None)})
    write_tables(tmp_path, planned.key, collection, planned.analyze([]))
    text = (tmp_path / "ratings.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == len(hostile_texts()) == 500
    assert not [row for row in rows if row["problem"].lstrip()[:1] in tuple("=+-@")]
    assert all(one.isprintable() or one == "\n" for one in text)


def test_a_study_without_ratings_says_how_to_get_them(planned: Planned) -> None:
    with pytest.raises(UsageError, match="human serve"):
        read_collection(planned.folder, planned.study)
