"""Plans balance emotions and takes, and give each speaker a fitting portrait."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avemo_harness.data.pipeline.builtin import BuiltinWriter
from avemo_harness.data.pipeline.config import BuildConfig, PortraitConfig, SplitConfig, SplitsConfig
from avemo_harness.data.pipeline.plan import (
    MULTI,
    SINGLE,
    PlannedTake,
    choose_portrait,
    plan_release,
    read_portraits,
)
from avemo_harness.data.synthesis.sentences import find_leaks
from avemo_harness.errors import UsageError

CONFIG = BuildConfig()
WRITER = BuiltinWriter(BuiltinWriter.Arguments())


def by_story(planned: tuple[PlannedTake, ...]) -> dict[str, list[PlannedTake]]:
    stories: dict[str, list[PlannedTake]] = defaultdict(list)
    for one in planned:
        stories[one.story].append(one)
    return stories


def test_the_default_has_the_sizes_that_it_says() -> None:
    plan = plan_release(CONFIG, ())
    assert {split: len(planned) for split, planned in plan.items()} == {SINGLE: 200, MULTI: 60}
    assert {one.request.turns for one in plan[MULTI]} == {3, 4, 5}


def test_equal_configurations_give_equal_plans_and_other_seeds_others() -> None:
    assert plan_release(CONFIG, ()) == plan_release(BuildConfig(), ())
    assert plan_release(CONFIG, ()) != plan_release(BuildConfig(seed=1), ())


def test_every_story_is_told_in_the_four_emotions_by_one_speaker() -> None:
    for planned in plan_release(CONFIG, ()).values():
        for takes in by_story(planned).values():
            assert Counter(one.request.emotions[-1] for one in takes) == Counter(["neutral", "happy", "angry", "sad"])
            assert len({(one.speaker, one.request.emotions[:-1], one.request.turns) for one in takes}) == 1


def test_takes_have_the_same_words_and_words_tell_no_emotion() -> None:
    for planned in plan_release(CONFIG, ()).values():
        for takes in by_story(planned).values():
            scripts = [WRITER.write(one.request) for one in takes]
            assert len({tuple(line.text for line in script.lines) for script in scripts}) == 1
            assert all(not find_leaks(line.text) for line in scripts[0].lines)
            users = [[line.emotion for line in script.lines if line.role == "user"] for script in scripts]
            assert [tuple(emotions) for emotions in users] == [one.request.emotions for one in takes]


def test_ids_tell_nothing_of_the_emotion() -> None:
    planned = plan_release(CONFIG, ())[SINGLE]
    assert [one.dialogue_id for one in planned] == sorted(one.dialogue_id for one in planned)
    first, second = (Counter(one.request.emotions[-1] for one in part) for part in (planned[:100], planned[100:]))
    assert max(abs(first[emotion] - second[emotion]) for emotion in first) < 25
    assert len({one.story for one in planned[:8]}) > 4


def test_an_empty_split_is_left_out() -> None:
    none, some = SplitConfig(dialogues=0, conflict_pairs=0), SplitConfig(dialogues=8, conflict_pairs=2)
    config = BuildConfig(splits=SplitsConfig(singleturn_synthetic=some, multiturn_synthetic=none))
    assert {split: len(planned) for split, planned in plan_release(config, ()).items()} == {SINGLE: 8, MULTI: 0}


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
