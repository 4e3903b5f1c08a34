"""Files of other tools may hold anything: what is wrong with them is told in lines that steer no terminal."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import pytest
from human.studies import write_small_study
from support.hostile_text import hostile_texts

from avemo_harness.cli import EXIT_USAGE, main

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
def study(tmp_path: Path) -> Path:
    write_small_study(tmp_path / "study")
    return tmp_path / "study"


def take(study: Path, rows: Sequence[Mapping[str, str]]) -> int:
    file = study.parent / "ratings.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, ROW)
        writer.writeheader()
        writer.writerows(rows)
    return main(["human", "import", str(study), str(file)])


def test_raters_may_be_called_anything(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = dict.fromkeys(text.strip() for text in hostile_texts() if text.strip())
    assert take(study, [{**ROW, "rater": name} for name in names]) == 0
    assert f"{len(names)} ratings of {len(names)} raters" in capsys.readouterr().out


def test_whatever_else_stands_in_a_cell_is_refused_in_printable_lines(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ("item", "dialogue", "system", "er", "repeat", "seconds", "scales")
    for text, column in zip(hostile_texts(), cycle(columns), strict=False):
        code = take(study, [{**ROW, column: text}])
        said = capsys.readouterr()
        assert code == EXIT_USAGE, (column, text)
        assert "ratings.csv" in said.err
        assert all(line.isprintable() for line in said.err.split("\n"))
