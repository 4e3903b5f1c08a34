"""A release gets its conflict pairs: as many as can be, in a copy or in place, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.clips import make_clip

from avemo_harness.benchmark.release import Clip, Dialogue, Turn
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.cli import main

EMOTIONS = ("happy", "sad", "neutral", "angry")


def write_talks(folder: Path, config: str) -> Path:
    """Two speakers, each with one sentence in all emotions and another one happily, in two splits."""

    def dialogue(split: str, speaker: str, emotion: str, text: str, seed: int) -> Dialogue:
        clip = Clip.from_bytes(make_clip(0.4, seed))
        turn = Turn(0, "user", speaker, text, emotion, clip=clip, duration_s=0.4)
        return Dialogue(f"{split}-{speaker}-{emotion}-{len(text)}", "test", "en", "CC0-1.0", (turn,))

    splits = {
        split: [
            *(dialogue(split, speaker, emotion, "It is late.", n) for n, emotion in enumerate(EMOTIONS)),
            dialogue(split, speaker, "happy", "Here I am now.", 5),
        ]
        for split, speaker in (("train", "Ann"), ("test", "Bob"))
    }
    write_release(folder, config, splits)
    return folder


def run(*arguments: str | Path) -> int:
    return main(["data", "conflicts", *map(str, arguments)])


def pair_ids(folder: Path, config: str, split: str) -> list[str]:
    return [pair.pair_id for pair in load_release(str(folder), config, split).pairs]


def test_real_recordings_of_a_speaker_are_paired_whatever_is_said(tmp_path: Path) -> None:
    folder = write_talks(tmp_path / "release", "multiturn_real")
    assert run(folder, "--out", tmp_path / "paired") == 0
    assert len(pair_ids(tmp_path / "paired", "multiturn_real", "test")) == 4
    assert len(pair_ids(tmp_path / "paired", "multiturn_real", "train")) == 4
    before, after = (load_release(str(one), "multiturn_real") for one in (folder, tmp_path / "paired"))
    assert before.dialogues == after.dialogues
    assert not before.pairs


def test_synthetic_recordings_are_paired_where_they_say_the_same(tmp_path: Path) -> None:
    folder = write_talks(tmp_path / "release", "singleturn_synthetic")
    assert run(folder, "--in_place") == 0
    pairs = load_release(str(folder), "singleturn_synthetic").pairs
    assert len(pairs) == 2
    assert {pair.audio_dialogue_id.rsplit("-", 1)[1] for pair in pairs} == {"11"}


@pytest.mark.parametrize(("polarity", "count"), [("valence", 4), ("strict", 2), ("any", 4)])
def test_the_polarity_can_be_chosen(polarity: str, count: int, tmp_path: Path) -> None:
    folder = write_talks(tmp_path / "release", "multiturn_real")
    assert run(folder, "--in_place", "--polarity", polarity) == 0
    assert len(pair_ids(folder, "multiturn_real", "test")) == count


def test_pairs_that_are_there_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_talks(tmp_path / "release", "multiturn_real")
    assert run(folder, "--in_place") == 0
    pairs = pair_ids(folder, "multiturn_real", "test")
    assert run(folder, "--in_place") == 2
    assert "config multiturn_real_conflict is there already" in capsys.readouterr().err
    assert pair_ids(folder, "multiturn_real", "test") == pairs


def test_a_release_without_opposites_is_an_error_and_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turn = Turn(0, "user", "Ann", "Hi.", "happy", clip=Clip.from_bytes(make_clip(0.4)))
    write_release(tmp_path / "release", "talks", {"test": [Dialogue("d", "", "en", "", (turn,))]})
    files = sorted(tmp_path.rglob("*"))
    assert run(tmp_path / "release", "--in_place") == 2
    assert "nothing in config 'talks' can be paired" in capsys.readouterr().err
    assert run(tmp_path / "release", "--out", tmp_path / "paired") == 2
    assert sorted(tmp_path.rglob("*")) == files


def test_the_config_must_be_clear(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_talks(tmp_path / "release", "multiturn_real")
    write_talks(folder, "multiturn_synthetic")
    assert run(folder, "--in_place") == 2
    assert "it has the configs multiturn_real, multiturn_synthetic; name one with --config" in capsys.readouterr().err
    assert run(folder, "--in_place", "--config", "multiturn_reel") == 2
    assert "no config 'multiturn_reel'; nearest: 'multiturn_real'" in capsys.readouterr().err
    assert run(folder, "--in_place", "--config", "multiturn_real") == 0


def test_a_copy_goes_to_a_new_folder_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_talks(tmp_path / "release", "multiturn_real")
    assert run(folder, "--out", folder) == 2
    assert "is there already and is not overwritten" in capsys.readouterr().err
    assert run("owner/name", "--in_place") == 2
    assert "--in_place needs the folder of a release" in capsys.readouterr().err
