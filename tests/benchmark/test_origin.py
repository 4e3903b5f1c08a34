"""Releases of the built-in voice and face are told from others by their rows, in whatever form they are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.synthetic_release import CONFIG, write_synthetic_release

from avemo_harness.benchmark.origin import is_builtin, source_of_build
from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.data.conflict_pairs import copy_release
from avemo_harness.data.pipeline.build import build_release
from avemo_harness.data.pipeline.config import BuildConfig, SplitConfig, SplitsConfig

ONE_DIALOGUE = SplitsConfig(
    singleturn_synthetic=SplitConfig(dialogues=4, conflict_pairs=0),
    multiturn_synthetic=SplitConfig(dialogues=0, conflict_pairs=0),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "release"
    build_release(BuildConfig(splits=ONE_DIALOGUE, speakers=1), out, lambda line: None)
    return out


def of_source(built: Path, *sources: str) -> Release:
    """A release whose dialogues come from these sources."""
    release = load_release(str(built), "singleturn_synthetic")
    rows = zip(release.dialogues, sources, strict=False)
    return replace(release, dialogues=tuple(replace(dialogue, source=source) for dialogue, source in rows))


def test_a_build_by_the_built_in_tools_is_known_as_a_folder_a_copy_and_a_file(built: Path, tmp_path: Path) -> None:
    copy_release(built, tmp_path / "copy")
    (tmp_path / "copy" / "build.json").unlink()
    for source in (built, tmp_path / "copy", next(built.glob("singleturn_synthetic/*.parquet"))):
        assert is_builtin(load_release(str(source), "singleturn_synthetic")), source


def test_a_part_of_it_written_anew_is_known(built: Path, tmp_path: Path) -> None:
    rows = load_release(str(built), "singleturn_synthetic").dialogues[:2]
    write_release(tmp_path / "part", "singleturn_synthetic", {"test": rows})
    assert is_builtin(load_release(str(tmp_path / "part"), "singleturn_synthetic"))


def test_the_words_of_a_language_model_change_nothing_and_another_voice_or_face_does(built: Path) -> None:
    tools = {"dialogue": "builtin writer", "speech": "builtin voice", "face": "builtin face"}
    assert is_builtin(of_source(built, source_of_build("mine", tools | {"dialogue": "openai"})))
    assert not is_builtin(of_source(built, source_of_build("mine", tools | {"speech": "cosyvoice"})))
    assert not is_builtin(of_source(built, source_of_build("mine", tools | {"face": "DreamTalk"})))


def test_one_dialogue_of_people_among_built_in_ones_is_enough(built: Path) -> None:
    made = load_release(str(built), "singleturn_synthetic").dialogues[0].source
    assert is_builtin(of_source(built, made, made))
    assert not is_builtin(of_source(built, made, "RAVDESS"))


def test_a_release_of_other_clips_is_none(tmp_path: Path) -> None:
    assert not is_builtin(load_release(str(write_synthetic_release(tmp_path / "other", dialogues=1)), CONFIG))
