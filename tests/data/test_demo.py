"""Making the release: what is written, and that nobody ever sees half of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avemo_harness import media
from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.synthesis.demo import DemoSize, build_demo
from avemo_harness.errors import ReleaseError


@pytest.fixture(scope="module")
def test_part(small_demo: Path) -> Release:
    return load_release(str(small_demo), "demo", "test")


def test_both_parts_and_the_pairs_can_be_read(small_demo: Path, test_part: Release) -> None:
    assert len(test_part.dialogues) == 4
    assert len(test_part.pairs) == 2
    assert len(load_release(str(small_demo), "demo", "train").dialogues) == 8


def test_the_user_is_seen_and_the_assistant_only_heard(test_part: Release) -> None:
    for dialogue in test_part.dialogues:
        user, assistant = (media.probe(turn.clip.read()) for turn in dialogue.turns)
        assert user.video is not None
        assert user.sound is not None
        assert assistant.video is None


def test_lengths_and_paths_are_those_of_the_clips(test_part: Release) -> None:
    for turn in (turn for dialogue in test_part.dialogues for turn in dialogue.turns):
        assert media.probe(turn.clip.read()).duration_s == pytest.approx(turn.duration_s, abs=0.07)
        assert len(turn.valence) == len(turn.arousal) == max(1, round(2 * turn.duration_s))
        assert turn.va_rate_hz == 2


def test_several_processes_make_the_same_release_as_one(small_demo: Path, small_size: DemoSize, tmp_path: Path) -> None:
    build_demo(tmp_path / "release", workers=2, size=small_size)
    files = [path.relative_to(small_demo) for path in sorted(small_demo.rglob("*")) if path.is_file()]
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "release" / file).read_bytes() == (small_demo / file).read_bytes()


def test_a_killed_build_shows_no_half_of_a_release(small_size: DemoSize, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    build = (
        "from pathlib import Path; from avemo_harness.data.synthesis.demo import build_demo, DemoSize; "
        f"build_demo(Path({str(folder)!r}), workers=1, size={small_size!r})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", build], env=environment) as process:
        while not any(tmp_path.iterdir()) and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    if not folder.exists():
        build_demo(folder, workers=1, size=small_size)
    assert len(load_release(str(folder), "demo", "test").dialogues) == 4


def test_a_release_that_another_process_made_meanwhile_stays(small_size: DemoSize, tmp_path: Path) -> None:
    folder = tmp_path / "release"

    def overtake(sentence: str) -> None:
        if not folder.exists():
            folder.mkdir()
            (folder / "README.md").write_text("made by another process")

    build_demo(folder, workers=1, progress=overtake, size=small_size)
    assert [path.name for path in tmp_path.iterdir()] == ["release"]
    assert (folder / "README.md").read_text() == "made by another process"


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ReleaseError, match="not empty"):
        build_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
