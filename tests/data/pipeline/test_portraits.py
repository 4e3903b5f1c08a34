"""Pictures are chosen once a speaker, and what may not be passed on is known from its licence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avemo_harness.data.pipeline.config import BuildConfig, PortraitConfig
from avemo_harness.data.pipeline.plan import choose_portrait, plan_release, read_portraits
from avemo_harness.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)).save(tmp_path / f"face{number}.png")
    rows = [
        f"face{number},{'female' if number % 2 else 'male'},{'CC BY-ND 4.0' if number < 2 else ''}"
        for number in range(4)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["id,gender,licence", *rows]) + "\n")
    return tmp_path


def settings(folder: Path) -> PortraitConfig:
    return PortraitConfig(folder=str(folder), table=str(folder / "table.csv"), licence="CC0-1.0")


def test_the_table_says_whose_they_are_and_what_is_allowed(folder: Path) -> None:
    portraits = {one.portrait_id: one for one in read_portraits(settings(folder))}
    assert len(portraits) == 6
    assert (portraits["face1"].gender, portraits["face1"].no_derivatives) == ("female", True)
    assert (portraits["face3"].licence, portraits["face3"].no_derivatives) == ("CC0-1.0", False)
    assert portraits["face5"].gender == ""


def test_a_table_may_be_written_in_other_ways(folder: Path) -> None:
    rows = "ID, Gender ,LICENSE\nface0,F,CC_BY_NC_ND_4.0\nface1,Male,MIT\n"
    (folder / "table.csv").write_text(rows, encoding="utf-8-sig")
    first, second, *_ = read_portraits(settings(folder))
    assert (first.gender, first.licence, first.no_derivatives) == ("female", "CC_BY_NC_ND_4.0", True)
    assert (second.gender, second.licence, second.no_derivatives) == ("male", "MIT", False)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("id,licnce\nface0,research only\n", r"table\.csv:1: unknown column 'licnce'; nearest: 'licence'"),
        ("id,gender,\nface0,male,research only\n", r"table\.csv:1: unknown column ''"),
        ("id,licence,license\nface0,MIT,none\n", "there are columns 'licence' and 'license'"),
        ("gender\nmale\n", r"table\.csv: expected a column 'id'"),
        ("id,gender\nface0,woman\n", r"table\.csv:2: expected the gender male or female, found 'woman'"),
        ("id,licence\nface0,none\nface0,MIT\n", r"table\.csv:3: 'face0' is there twice"),
        ("id,gender\n,male\n", r"table\.csv:2: a row needs the id"),
        ("id,gender\nnobody,male\n", "there is no picture 'nobody'"),
    ],
)
def test_a_table_that_could_be_misread_is_refused(folder: Path, rows: str, message: str) -> None:
    (folder / "table.csv").write_text(rows)
    with pytest.raises(UsageError, match=message):
        read_portraits(settings(folder))


def test_a_speaker_has_one_picture_of_fitting_gender(folder: Path) -> None:
    portraits = read_portraits(settings(folder))
    plan = plan_release(BuildConfig(licence="CC0-1.0", portraits=settings(folder)), portraits)
    for planned in plan.values():
        for one in planned:
            assert one.speaker.portrait is not None
            assert one.speaker.portrait.gender == one.speaker.gender
    assert choose_portrait(portraits, "male", (1, 2)) == choose_portrait(portraits, "male", (1, 2))
    assert choose_portrait((), "male", (1,)) is None


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no picture"):
        read_portraits(PortraitConfig(folder=str(tmp_path)))
