"""Ratings from other tools are taken in whole or not at all, and what is wrong with them steers no terminal."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import pytest
from human.studies import write_small_study
from support.hostile_text import hostile_texts

from avemo_harness.cli import EXIT_USAGE, main
from avemo_harness.errors import UsageError
from avemo_harness.human.importing import ImportCounts, import_ratings
from avemo_harness.human.ratings import read_collection
from avemo_harness.human.study import SCALES_VERSION, Study, StudyKey, read_key


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_small_study(tmp_path / "study")


@pytest.fixture
def key(study: Study, tmp_path: Path) -> StudyKey:
    return read_key(tmp_path / "study")


class Importer:
    """Writes a file and imports it."""

    def __init__(self, folder: Path, study: Study, key: StudyKey) -> None:
        self.folder, self.study, self.key = folder, study, key

    def __call__(self, name: str, text: str, **columns: str) -> ImportCounts:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return import_ratings(self.folder / "study", self.study, self.key, path, columns, SCALES_VERSION)

    def ratings(self) -> list[tuple[str, dict[str, int], float | None]]:
        found = read_collection(self.folder / "study", self.study).ratings
        return [(one.rater, dict(one.ratings), one.seconds) for one in found]


@pytest.fixture
def take(tmp_path: Path, study: Study, key: StudyKey) -> Importer:
    return Importer(tmp_path, study, key)


def test_csv_names_items_by_id_or_by_dialogue_and_system(take: Importer, study: Study, key: StudyKey) -> None:
    item = next(item.item_id for item in study.items if key.items[item.item_id].dialogue == "d1")
    text = f"rater,item,dialogue,system,er,en,rr\nann,{item},,,1,2,3\nbob,,d1,calm,4,5,\n"
    assert take("ratings.csv", text) == ImportCounts(added=2, known=0, raters=2)
    assert sorted(ratings["er"] for _, ratings, _ in take.ratings()) == [1, 4]


def test_json_lines_with_other_names_of_columns(take: Importer) -> None:
    rows = [{"WorkerId": "w1", "Clip": "d0", "Model": "loud", "Q1": 3, "Q2": "4", "Q3": 5.0, "Time": 7.5}]
    columns = {"rater": "WorkerId", "dialogue": "Clip", "system": "Model", "er": "Q1", "en": "Q2", "rr": "Q3"}
    take("ratings.jsonl", "\n".join(map(json.dumps, rows)), **columns, seconds="Time")
    ((_, ratings, seconds),) = take.ratings()
    assert (ratings, seconds) == ({"er": 3, "en": 4, "rr": 5}, 7.5)


def test_a_list_in_one_json_file_is_taken_too(take: Importer) -> None:
    rows = [{"rater": 0, "dialogue": "d0", "system": "calm", "er": 2, "repeat": False}]
    assert take("ratings.JSON", json.dumps(rows)).added == 1
    with pytest.raises(UsageError, match="expected a list of objects"):
        take("one.json", json.dumps(rows[0]))
    with pytest.raises(UsageError, match=r"give lines of JSON the ending \.jsonl"):
        take("two.json", json.dumps(rows[0]) + "\n" + json.dumps(rows[0]))


@pytest.mark.parametrize(("word", "repeat"), [("FALSE", False), ("No", False), ("TRUE", True), (" yes ", True)])
def test_repeats_are_marked_as_spreadsheets_do(take: Importer, word: str, repeat: bool) -> None:
    take("ratings.csv", f"rater,dialogue,system,er,repeat\nann,d0,calm,1,{word}\n")
    (one,) = read_collection(take.folder / "study", take.study).ratings
    assert one.repeat == repeat


@pytest.mark.parametrize("name", ["ratings.csv", "ratings.json", "ratings.jsonl"])
def test_a_file_without_ratings_is_told(take: Importer, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: holds no rating"):
        take(name, {"ratings.csv": "rater,item,er\n", "ratings.json": "[]"}.get(name, "\n"))


def test_a_rater_may_have_half_a_letter_for_a_name(take: Importer) -> None:
    assert take("ratings.jsonl", '{"rater": "\\ud83d", "dialogue": "d0", "system": "calm", "er": 1}').added == 1


def test_the_same_file_twice_changes_nothing(take: Importer) -> None:
    text = "rater,dialogue,system,er,en,rr\nann,d0,calm,1,2,3\n"
    take("ratings.csv", text)
    assert take("ratings.csv", text) == ImportCounts(added=0, known=1, raters=1)
    assert len(take.ratings()) == 1


def test_names_of_raters_are_not_kept(take: Importer, tmp_path: Path) -> None:
    take("one.csv", "rater,dialogue,system,er,en,rr\nann@example.org,d0,calm,1,2,3\n")
    take("two.csv", "rater,dialogue,system,er,en,rr\nann@example.org,d1,calm,1,2,3\n")
    assert len({rater for rater, _, _ in take.ratings()}) == 1
    for path in (tmp_path / "study").glob("ratings.sqlite*"):
        assert b"ann@example" not in path.read_bytes()


WRONG = {
    "rater,dialogue,system,er\n,d0,calm,1\n": "names no rater",
    "rater,dialogue,system,er\na,d9,calm,1\n": "no item of dialogue 'd9'",
    "rater,item,er\na,nothing,1\n": "no item 'nothing'",
    "rater,dialogue,system,er\na,d0,calm,6\n": "from 1 to 5, found '6'",
    "rater,dialogue,system,er\na,d0,calm,2.5\n": "whole number",
    "rater,dialogue,system,er\na,d0,calm,nan\n": "whole number",
    "rater,dialogue,system,er\na,d0,calm,good\n": "expected a number",
    "rater,dialogue,system,er\na,d0,calm,\n": "rates nothing",
    "rater,dialogue,system,er\na,d0\n": "another number of cells",
    "rater,dialogue,system,er\na,d0,calm,1,2\n": "another number of cells",
    "rater,dialogue,system,er,seconds\na,d0,calm,1,-2\n": "seconds",
    "rater,dialogue,system,er,repeat\na,d0,calm,1,perhaps\n": "repeat",
    "rater,dialogue,system,er\na,d0,calm,1\na,d0,calm,2\n": "twice, and not alike",
    'rater,dialogue,system,er\n"a,d0,calm,1\n': "no CSV",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_one_wrong_row_keeps_the_whole_file_out(take: Importer, text: str) -> None:
    first, _, rest = text.partition("\n")
    fine = ",".join(
        {"rater": "z", "dialogue": "d3", "system": "calm", "er": "3"}.get(name, "") for name in first.split(",")
    )
    with pytest.raises(UsageError, match=WRONG[text]) as refusal:
        take("ratings.csv", f"{first}\n{fine if 'item' not in first else ''}\n{rest}")
    assert "ratings.csv" in str(refusal.value)
    take("fine.csv", "rater,dialogue,system,er\nb,d0,loud,1\n")
    assert len(take.ratings()) == 1


@pytest.mark.parametrize(
    "line", ["[1]", "nothing", "[" * 5000, '{"rater": {"a": 1}, "dialogue": "d0", "system": "calm"}']
)
def test_lines_that_are_no_rating_are_named(take: Importer, line: str) -> None:
    with pytest.raises(UsageError, match=r"ratings\.jsonl:2"):
        take("ratings.jsonl", f"\n{line}\n")


def test_unknown_fields_and_other_encodings_are_told(take: Importer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no field 'score'"):
        take("ratings.csv", "rater\n", score="x")
    (tmp_path / "latin.csv").write_bytes("rater,dialogue\nJosé,d0\n".encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        import_ratings(tmp_path / "study", take.study, take.key, tmp_path / "latin.csv", {})
    with pytest.raises(UsageError, match="cannot be read"):
        import_ratings(tmp_path / "study", take.study, take.key, tmp_path / "none.csv", {})


ROW = {
    "rater": "ann",
    "item": "",
    "dialogue": "d0",
    "system": "calm",
    "er": "1",
    "repeat": "0",
    "seconds": "2",
    "scales": "av-emo-2",
}


@pytest.fixture
def foreign_study(tmp_path: Path) -> Path:
    write_small_study(tmp_path / "study")
    return tmp_path / "study"


def take_in(foreign_study: Path, rows: Sequence[Mapping[str, str]]) -> int:
    file = foreign_study.parent / "ratings.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, ROW)
        writer.writeheader()
        writer.writerows(rows)
    return main(["human", "import", str(foreign_study), str(file)])


def test_raters_may_be_called_anything(foreign_study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = dict.fromkeys(text.strip() for text in hostile_texts() if text.strip())
    assert take_in(foreign_study, [{**ROW, "rater": name} for name in names]) == 0
    assert f"{len(names)} ratings of {len(names)} raters" in capsys.readouterr().out


def test_whatever_else_stands_in_a_cell_is_refused_in_printable_lines(
    foreign_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ("item", "dialogue", "system", "er", "repeat", "seconds", "scales")
    for text, column in zip(hostile_texts(), cycle(columns), strict=False):
        code = take_in(foreign_study, [{**ROW, column: text}])
        said = capsys.readouterr()
        assert code == EXIT_USAGE, (column, text)
        assert "ratings.csv" in said.err
        assert all(line.isprintable() for line in said.err.split("\n"))
