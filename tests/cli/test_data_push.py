"""`avemo-eval data push`: a release is shared, and the command that it prints runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.byte_clips import write_byte_release
from support.hub_uploads import client_of, serve_uploads
from support.synthetic_release import write_synthetic_release

from avemo_harness.cli import main


def test_the_command_that_a_push_prints_asks_about_what_was_pushed(tmp_path: Path) -> None:
    folder = write_synthetic_release(tmp_path / "release", dialogues=1, turns=2)
    with serve_uploads() as hub:
        settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}

        def run(*arguments: str) -> str:
            command = [sys.executable, "-m", "avemo_harness", *arguments]
            done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout

        _, commit, command = run("data", "push", str(folder), "lab/release", "--revision_tag", "v1").splitlines()
        assert commit == f"commit {hub.repositories['lab/release'].commit}, tagged v1"
        given = command.replace("MODEL", "random").replace("multiturn_synthetic ", "multiturn_synthetic_full_av ")
        run(*given.split()[1:], "--output_path", str(tmp_path / "run"))
    (results,) = (tmp_path / "run").rglob("results.json")
    assert commit.split()[1].rstrip(",") in results.read_text(encoding="utf-8")


def test_a_push_says_how_to_ask_about_ids_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_byte_release(tmp_path)
    with serve_uploads() as hub, client_of(hub):
        assert main(["data", "push", str(folder), "lab/release", "--ids-only"]) == 0
        commit = hub.repositories["lab/release"].commit
    assert capsys.readouterr().out.splitlines() == [
        f"5 files, 0.0 MB: {hub.url}/datasets/lab/release",
        f"commit {commit}",
        f"avemo-eval --model MODEL --tasks multiturn_real --dataset lab/release --revision {commit} --media_root DIR",
    ]


def test_what_must_not_be_shared_ends_with_code_2_and_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_byte_release(tmp_path)
    (folder / "import.json").write_text(json.dumps({"redistributable": False}))
    with serve_uploads() as hub, client_of(hub):
        assert main(["data", "push", str(folder), "lab/release", "--acknowledge_restricted"]) == 2
        assert not hub.log
    assert "clips must not be passed on" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "push", str(tmp_path / "none"), "lab/release"]) == 2
    assert f"{tmp_path / 'none'}: expected the folder of a release" in capsys.readouterr().err
