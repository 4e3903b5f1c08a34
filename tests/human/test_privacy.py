"""A study is for its owner's eyes: files and folder are closed to others from the first moment."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from human.studies import write_small_study

from avemo_harness.cli import main
from avemo_harness.human.media import StudyMedia
from avemo_harness.human.plan import extend_study
from avemo_harness.human.ratings import RatingsFile
from avemo_harness.human.study import permissions_warning, read_key, write_study

RATINGS = "rater,dialogue,system,scales,er,en,rr\nann,d0,calm,av-emo-2,5,4,3\nbob,d0,loud,av-emo-2,1,2,3\n"


@pytest.fixture(params=[0o000, 0o022, 0o377], ids=oct)
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    assert tmp_path.is_dir()  # made before, under a umask that lets the test enter it
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_study_is_closed_to_others_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    StudyMedia(folder)
    assert mode(folder) == 0o700
    os.umask(0o022)
    study = write_small_study(tmp_path / "other")
    os.umask(umask)
    write_study(folder, study, read_key(tmp_path / "other"))
    assert [oct(mode(folder / name)) for name in ("plan.json", "key.json")] == ["0o600", "0o600"]


def test_everything_that_a_study_gathers_is_closed_to_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = tmp_path / "study"
        StudyMedia(folder)
        study = write_small_study(folder)
        source = tmp_path / "given.csv"
        source.write_text(RATINGS)
        assert main(["human", "import", str(folder), str(source)]) == 0
        assert main(["human", "analyze", str(folder)]) == 0
        extend_study(folder, study, invitations=2)
        RatingsFile(folder, study.digest()).close()
    finally:
        os.umask(before)
    files = {path.name: oct(mode(path)) for path in folder.iterdir() if path.is_file()}
    written = {"plan.json", "key.json", "ratings.sqlite", "invitations.txt", "human.json", "ratings.csv", "raters.csv"}
    assert set(files) >= written
    assert set(files.values()) == {"0o600"}
    assert mode(folder) == 0o700
    assert permissions_warning(folder) is None


@pytest.mark.parametrize(
    ("opened", "bits"), [("", 0o755), ("", 0o710), ("key.json", 0o604), ("plan.json", 0o644), ("ratings.csv", 0o640)]
)
def test_an_older_study_that_others_can_read_is_told_of_once_with_the_command_that_closes_it(
    tmp_path: Path, opened: str, bits: int, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "rating study"
    StudyMedia(folder)
    write_small_study(folder)
    (folder / "ratings.csv").touch(mode=0o600)
    (folder / opened).chmod(bits)
    main(["human", "extend", str(folder)])
    said = capsys.readouterr().err
    assert said.count("chmod") == 1
    command = f"chmod -R go-rwx {shlex.quote(str(folder))}"
    assert command in said
    assert opened in said
    subprocess.run(command, shell=True, check=True)
    main(["human", "extend", str(folder)])
    assert "chmod" not in capsys.readouterr().err


def test_a_folder_that_was_there_before_keeps_its_mode_and_is_told_of(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    folder.chmod(0o755)
    StudyMedia(folder)
    assert mode(folder) == 0o755
    assert "chmod" in str(permissions_warning(folder))
