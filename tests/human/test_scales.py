"""Ratings belong to the wording that they were given on: kept with it, named by it, never averaged with another's."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from human.first_study import FIRST_DIGEST, write_first_study
from human.studies import write_small_study
from human.test_plan import rate_wrongly
from human.test_service import Room

from avemo_harness.benchmark.published import PEOPLE
from avemo_harness.errors import StoreError, UsageError
from avemo_harness.human.analysis import HumanResult, analyze, write_result, write_tables
from avemo_harness.human.importing import ImportCounts, import_ratings
from avemo_harness.human.plan import extend_study
from avemo_harness.human.ratings import read_collection
from avemo_harness.human.screens import InstructionsScreen, ItemScreen
from avemo_harness.human.service import StudyService
from avemo_harness.human.study import SCALES, SCALES_VERSION, Study, read_key, read_study
from avemo_harness.report.scored_run import people_columns, read_people

FIRST, NOW = "av-emo-1", "av-emo-2"
FIRST_COLUMNS = ("emotional response (v1)", "emotional naturalness (v1)", "relevance (v1)", "mean (v1)")


class First(Room):
    """A study that was planned before scales had a version, with the two runs that its systems are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "study"
        self.runs = {name: folder / name for name in ("calm", "loud")}
        for run in self.runs.values():
            (run / "human").mkdir(parents=True)
            (run / "run.json").write_text("{}")
        self.study = write_first_study(self.folder, self.runs)
        self.now = 1000.0
        self.items = self.study.by_id()
        self.service: StudyService = self.open()


@pytest.fixture
def first(tmp_path: Path) -> First:
    return First(tmp_path)


def result_of(folder: Path) -> HumanResult:
    study = read_study(folder)
    return analyze(study, read_key(folder), read_collection(folder, study).ratings)


def write_ratings(folder: Path, study: Study, points: int, scales: str | None = None) -> Path:
    """A file in which two people give every rated item those points on every scale."""
    head = ["rater", "item", "er", "en", "rr", *(["scales"] if scales else [])]
    rows = [
        [rater, item.item_id, *[str(points)] * 3, *([scales] if scales else [])]
        for rater in ("ann", "bob")
        for item in study.items
        if item.kind == "rated"
    ]
    path = folder / f"{scales}-{points}.csv"
    path.write_text("\n".join(",".join(row) for row in [head, *rows]))
    return path


def take(folder: Path, points: int, scales: str | None = None, option: str | None = None) -> ImportCounts:
    study = read_study(folder)
    source = write_ratings(folder.parent, study, points, scales)
    return import_ratings(folder, study, read_key(folder), source, {}, option)


def values(columns: Mapping[str, object]) -> dict[str, float | None]:
    return {name: metric.value for name, metric in columns.items()}  # type: ignore[attr-defined]  # metrics


def test_ratings_of_the_pages_are_stored_and_exported_with_the_wording_that_raters_saw(tmp_path: Path) -> None:
    room = Room(tmp_path / "study", seconds=2.0)
    room.to_the_end(0)
    collection = read_collection(room.folder, room.study)
    assert {one.scales for one in collection.ratings} == {NOW}
    write_tables(room.folder, read_key(room.folder), collection, result_of(room.folder))
    rows = list(csv.DictReader((room.folder / "ratings.csv").read_text().splitlines()))
    assert {row["scales"] for row in rows} == {NOW}
    result = result_of(room.folder)
    assert result.scales == NOW
    assert tuple(result.scores.systems["calm"]) == PEOPLE
    assert result.apart == ()


def test_exported_ratings_come_in_again_as_they_were(tmp_path: Path) -> None:
    room = Room(tmp_path / "study", seconds=2.0)
    room.to_the_end(0)
    collection = read_collection(room.folder, room.study)
    write_tables(room.folder, read_key(room.folder), collection, result_of(room.folder))
    other = write_small_study(tmp_path / "other", seconds=2.0)
    exported = room.folder / "ratings.csv"
    done = import_ratings(tmp_path / "other", other, read_key(tmp_path / "other"), exported, {})
    assert (done.added, done.apart) == (len(collection.ratings), {})
    assert result_of(tmp_path / "other").scores.systems == result_of(room.folder).scores.systems


def test_a_study_from_before_keeps_its_name_and_its_ratings(first: First) -> None:
    assert first.study.digest() == FIRST_DIGEST
    assert first.study.scales_version == FIRST
    ratings = read_collection(first.folder, first.study).ratings
    assert len(ratings) == len(first.study.sessions[0].showings) + 1
    assert {one.scales for one in ratings} == {FIRST}


def test_a_study_from_before_goes_on_in_its_own_words(first: First) -> None:
    rater = first.join(1)
    first.service.consent(rater)
    instructions = first.name_device(rater)
    assert isinstance(instructions, InstructionsScreen)
    assert instructions.scales[0].title == "Emotional response"
    screen = first.service.ready(rater)
    while isinstance(screen, ItemScreen):
        assert screen.scales[0].question == "Does the reply take up what the speaker feels?"
        screen = first.rate(rater, screen)
    ratings = read_collection(first.folder, first.study).ratings
    assert len({one.rater for one in ratings}) == 3
    assert {one.scales for one in ratings} == {FIRST}


def test_ratings_from_before_stand_under_their_own_names_in_results_and_runs(first: First) -> None:
    result = result_of(first.folder)
    assert tuple(result.scores.systems["calm"]) == FIRST_COLUMNS
    said: list[str] = []
    write_result(first.folder, read_key(first.folder), result, said.append)
    assert said == []
    for run in first.runs.values():
        (people,) = read_people(run)
        assert people.scales == FIRST
        assert tuple(people.columns) == FIRST_COLUMNS


def test_a_runs_scores_from_before_are_kept_beside_those_of_a_new_study(first: First, tmp_path: Path) -> None:
    metric = {"value": 0.9, "ci_low": None, "ci_high": None, "n": 4, "n_invalid": 0, "n_errors": 0}
    old = {"study": "s", "task": "demo_reply", "group": "demo", "complete": True, "raters": 5, "excluded": 0}
    (first.runs["calm"] / "human" / "demo_reply.json").write_text(
        json.dumps({**old, "columns": dict.fromkeys(PEOPLE, metric)})
    )
    (before,) = read_people(first.runs["calm"])
    assert (before.scales, tuple(before.columns)) == (FIRST, FIRST_COLUMNS)
    write_small_study(tmp_path / "new", runs=first.runs)
    take(tmp_path / "new", 2, NOW)
    write_result(tmp_path / "new", read_key(tmp_path / "new"), result_of(tmp_path / "new"), lambda line: None)
    by_scales = {one.scales: one for one in read_people(first.runs["calm"])}
    assert by_scales[FIRST] == before
    assert values(by_scales[NOW].columns) == dict.fromkeys(PEOPLE, 0.25)


def test_ratings_on_another_wording_are_kept_apart_and_never_averaged(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    write_small_study(folder)
    assert take(folder, 2, NOW).apart == {}
    alone = result_of(folder)
    assert take(folder, 5, FIRST).apart == {FIRST: 16}
    assert take(folder, 4, option="lab").apart == {"lab": 16}
    result = result_of(folder)
    assert (result.scores, result.of_everyone) == (alone.scores, alone.of_everyone)
    assert values(result.scores.systems["calm"]) == dict.fromkeys(PEOPLE, 0.25)
    of_first, of_lab = result.apart
    assert values(of_first.scores.systems["calm"]) == dict.fromkeys(FIRST_COLUMNS, 1.0)
    assert values(of_lab.scores.systems["calm"]) == dict.fromkeys(people_columns("lab"), 0.75)
    assert not set(people_columns("lab")) & set(PEOPLE)


def test_ratings_on_the_benchmarks_wording_of_items_from_before_are_the_benchmarks(first: First) -> None:
    assert take(first.folder, 3, NOW).apart == {NOW: 16}
    write_result(first.folder, read_key(first.folder), result_of(first.folder), lambda line: None)
    by_scales = {one.scales: one for one in read_people(first.runs["loud"])}
    assert values(by_scales[NOW].columns) == dict.fromkeys(PEOPLE, 0.5)
    assert by_scales[FIRST].raters == 2


def test_the_gold_items_of_one_wording_leave_nobody_out_who_rated_on_another(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    study = write_small_study(folder, dialogues=20)
    checks = [item.item_id for item in study.items if item.kind == "gold"]
    rows = [f"ann,{item},5,5,5" for item in checks]
    for scales, left_out in ((NOW, 1), (FIRST, 0)):
        path = tmp_path / "ratings.csv"
        path.write_text("\n".join(["rater,item,er,en,rr", *rows]))
        import_ratings(folder, study, read_key(folder), path, {}, scales)
        result = result_of(folder)
        of_scales = result if scales == NOW else result.apart[0]
        assert len(of_scales.excluded) == left_out


def test_raters_on_another_wording_do_not_fill_a_studys_places(tmp_path: Path) -> None:
    room = Room(tmp_path / "study", seconds=2.0)
    rate_wrongly(room, 0)
    for number in range(1, len(room.study.sessions)):
        room.to_the_end(number)
    take(room.folder, 3, FIRST)
    assert result_of(room.folder).short_items == 4
    assert extend_study(room.folder, room.study, None).lacking == 4


@pytest.mark.parametrize(
    ("scales", "option", "said"),
    [
        (None, None, "does not say on which scales it was rated; add a column `scales`, or say --scales av-emo-2"),
        ("av-emo-1", "av-emo-2", "was rated on the scales av-emo-1, --scales says av-emo-2"),
        ("../v1", None, "expected the name of the scales' wording"),
        (None, "Mine!", "--scales: expected the name of the scales' wording"),
    ],
)
def test_a_file_says_on_which_scales_it_was_rated(
    scales: str | None, option: str | None, said: str, tmp_path: Path
) -> None:
    study = write_small_study(tmp_path / "study")
    source = tmp_path / "ratings.csv"
    item = next(item.item_id for item in study.items if item.kind == "rated")
    source.write_text(f"rater,item,er,scales\nann,{item},3,{scales or ''}\n")
    with pytest.raises(UsageError) as refusal:
        import_ratings(tmp_path / "study", study, read_key(tmp_path / "study"), source, {}, option)
    assert said in str(refusal.value)


def test_a_plan_whose_words_were_changed_needs_a_name_of_its_own(tmp_path: Path) -> None:
    write_small_study(tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text())
    plan["scales"][0]["question"] = "Gibt die Antwort das richtige Gefühl?"
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(StoreError, match="not worded as av-emo-2; give scales_version a name of your own"):
        read_study(tmp_path)
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "scales_version": "av-emo-2-de"}))
    assert read_study(tmp_path).scales_version == "av-emo-2-de"
    assert people_columns("av-emo-2-de")[0] == "ER (av-emo-2-de)"
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "scales_version": "a/b"}))
    with pytest.raises(UsageError, match="scales_version: expected the name"):
        read_study(tmp_path)


def test_words_change_only_with_the_name_of_the_wording() -> None:
    digest = hashlib.sha256(repr(SCALES).encode()).hexdigest()[:16]
    assert (SCALES_VERSION, digest) == (NOW, "581093733eb7b1c0"), "give the new wording a new name, and this test both"


def test_a_plan_without_a_version_is_worded_in_the_first(tmp_path: Path) -> None:
    write_small_study(tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text())
    del plan["scales_version"]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert read_study(tmp_path).scales_version == FIRST
