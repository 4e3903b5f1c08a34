"""Pictures are chosen once a speaker, and what may not be passed on is known from its licence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avemo_harness.build.pipeline.config import BuildConfig, PortraitConfig
from avemo_harness.build.pipeline.plan import plan_release
from avemo_harness.build.pipeline.portraits import choose_portrait, forbids_derivatives, read_portraits
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


@pytest.mark.parametrize(
    ("licence", "forbidden"),
    [
        ("CC BY-NC-ND 4.0", True),
        ("CC-BY-ND", True),
        ("AI-Face", True),
        ("no derivatives", True),
        ("CC BY-SA", False),
        ("", False),
    ],
)
def test_licences_without_derivatives_are_known(licence: str, forbidden: bool) -> None:
    assert forbids_derivatives(licence) is forbidden


def test_a_speaker_has_one_picture_of_fitting_gender(folder: Path) -> None:
    portraits = read_portraits(settings(folder))
    plan = plan_release(BuildConfig(portraits=settings(folder)), portraits)
    for planned in plan.dialogues.values():
        for one in planned:
            assert one.character.portrait is not None
            assert one.character.portrait.gender == one.character.gender
    assert choose_portrait(portraits, "male", (1, 2)) == choose_portrait(portraits, "male", (1, 2))
    assert choose_portrait((), "male", (1,)) is None


def test_a_folder_without_pictures_and_a_table_of_others_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no picture"):
        read_portraits(PortraitConfig(folder=str(tmp_path / "empty")))
    (folder / "table.csv").write_text("id,gender\nnobody,male\n")
    with pytest.raises(UsageError, match="there is no picture 'nobody'"):
        read_portraits(settings(folder))
    (folder / "table.csv").write_text("id,gender\n,male\n")
    with pytest.raises(UsageError, match=r"table\.csv:2: a row needs the id"):
        read_portraits(settings(folder))
