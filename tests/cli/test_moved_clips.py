"""Commands that read a run's release again find its clips where they lie by now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.corpus_trees import write_clip
from support.imports import import_corpus
from support.planted_judge import LevelJudge, plant
from support.speaking_runs import Speaker, write_speaking_run

from avemo_harness.cli import main


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with judged replies on clips of a corpus folder, which has moved since to ``moved``."""
    corpus = tmp_path / "corpus"
    rows = [f"a{turn}.mp4,happy,{name},d,{turn}" for turn, name in enumerate(("Ann", "Bob", "Ann", "Bob"))]
    for turn in range(4):
        write_clip(corpus / f"a{turn}.mp4", 0.4, turn)
    (corpus / "clips.csv").write_text("\n".join(["path,emotion,speaker,dialogue,turn", *rows]) + "\n")
    import_corpus("folder", corpus, tmp_path / "release")
    made = write_speaking_run(
        tmp_path / "run", tmp_path / "release", Speaker(), tasks=("multiturn_real_reply",), media_root=str(corpus)
    )
    corpus.rename(tmp_path / "moved")
    return made


def errors(run: Path) -> set[str]:
    """The failure of the judge that was named last."""
    name = json.loads((run / "judge.json").read_text())["digest"][:12]
    (file,) = (run / "judgements").glob(f"*{name}*.jsonl")
    return {str(line["error"]) for line in map(json.loads, file.read_text().splitlines()) if line.get("error")}


def test_a_judge_finds_clips_that_have_moved(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, LevelJudge("second"), "embedded")
    assert main(["judge", str(run), "--recognizer", "embedded"]) == 0
    assert errors(run)
    assert all("give the corpus' folder as media_root" in one for one in errors(run))
    plant(monkeypatch, LevelJudge("third"), "embedded")
    assert main(["judge", str(run), "--recognizer", "embedded", "--media_root", str(run.parent / "moved")]) == 0
    assert not errors(run)


@pytest.mark.parametrize("command", [["judge"], ["score"], ["report"], ["human", "plan"], ["show"], ["run"]])
def test_every_command_that_reads_clips_of_a_run_takes_their_folder(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    assert "--media_root DIR" in capsys.readouterr().out
