"""The command tells of each check in a line, and its exit code whether one failed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.clips import make_clip

from avemo_harness.benchmark.release import Clip, Dialogue, Turn
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.cli import main
from avemo_harness.data.pipeline.build import build_release
from avemo_harness.data.pipeline.config import BuildConfig, SplitConfig, SplitsConfig

pytestmark = pytest.mark.slow

CONFIG = BuildConfig(
    name="tiny",
    speakers=4,
    splits=SplitsConfig(
        singleturn_synthetic=SplitConfig(dialogues=16, conflict_pairs=4),
        multiturn_synthetic=SplitConfig(dialogues=4, conflict_pairs=2),
    ),
    workers=1,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "release"
    build_release(CONFIG, out, lambda line: None)
    return out


def test_what_data_build_makes_passes_with_its_conflict_pairs(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = built.parent / "report.json"
    assert main(["data", "check", str(built), "--report", str(report)]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines.index("multiturn_synthetic:") < lines.index("singleturn_synthetic:")
    assert "  pass         conflict pairs: 4 pairs" in lines
    assert "  pass         conflict pairs: 2 pairs" in lines
    assert "singleturn_synthetic: decoding 32 clips" in told.err
    findings = json.loads(report.read_text())["findings"]
    assert {one["config"] for one in findings} == {"multiturn_synthetic", "singleturn_synthetic"}
    assert not [one for one in findings if one["verdict"] == "fail"]


def test_pairs_of_takes_that_share_their_beginning_pass_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release, paired = tmp_path / "release", tmp_path / "paired"
    none, some = (SplitConfig(dialogues=count, conflict_pairs=0) for count in (0, 16))
    splits = SplitsConfig(singleturn_synthetic=none, multiturn_synthetic=some)
    build_release(CONFIG.model_copy(update={"speakers": 1, "splits": splits}), release, lambda line: None)
    config = ["--config", "multiturn_synthetic"]
    assert main(["data", "conflicts", str(release), *config, "--sharing", "speaker", "--out", str(paired)]) == 0
    assert main(["data", "check", str(paired), *config]) == 0
    assert "  pass         conflict pairs: " in capsys.readouterr().out


def test_a_failed_check_is_exit_code_1(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "release"
    shutil.copytree(built, folder)
    (folder / "multiturn_synthetic" / "test-00000.parquet").write_bytes(b"nothing")
    assert main(["data", "check", str(folder), "--config", "multiturn_synthetic"]) == 1
    assert "  fail         schema: " in capsys.readouterr().out


def test_what_a_release_is_called_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = Clip.from_bytes(make_clip(0.5))
    turns = [Turn(0, "user", "\x1b[2Jspeaker", "Yes.", emotion, clip=clip) for emotion in ("happy", "sad")]
    rows = [Dialogue(f"\x1b]0;{turn.emotion}\x07", "test", "en", "CC0-1.0", (turn,)) for turn in turns]
    write_release(tmp_path, "mine", {"test": rows})
    assert main(["data", "check", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "fail         label balance: test, dialogue ]0;sad, turn 0: its clip is labelled sad" in told.out
    assert not {"\x1b", "\x07"} & {*told.out, *told.err}


def test_confirmed_dialogues_are_written(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "votes.csv"
    table.write_text(f"config,dialogue,turn,rater,label\nsingleturn_synthetic,{first_id(built)},0,Ann,sad\n")
    kept = tmp_path / "kept"
    assert main(["data", "check", str(built), "--votes", str(table), "--write_kept", str(kept)]) == 0
    out = capsys.readouterr().out
    assert f"kept by majority (1 raters of votes.csv) in {kept}:" in out
    assert main(["data", "check", str(built), "--write_kept", str(kept)]) == 2
    assert "is not overwritten" in capsys.readouterr().err


def first_id(folder: Path) -> str:
    return load_release(str(folder), "singleturn_synthetic").dialogues[0].dialogue_id


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--drop", "majority"], "give their table as --votes"),
        (["--config", "singleturn"], "there is no config 'singleturn'; nearest: 'singleturn_synthetic'"),
        (["--config", "singleturn_synthetic", "--write_kept", "new"], "leave out --config"),
        (["--recognizer", "fussion"], "nearest: 'fusion'"),
        (["--votes", "none.csv"], "none.csv: cannot be read"),
    ],
)
def test_wrong_options_are_exit_code_2(
    options: list[str], message: str, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(built), *options]) == 2
    assert message in capsys.readouterr().err


def test_what_is_no_release_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(tmp_path / "nowhere")]) == 2
    assert "expected the folder of a release, or a Hub id" in capsys.readouterr().err
    assert main(["data", "check", str(tmp_path)]) == 2
    assert "expected folders of Parquet files" in capsys.readouterr().err
