"""From a corpus of real voices to a table by a judge of people: each command is printed by the one before."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from avemo_harness.cli import main

TRAINED, TESTED = range(1, 7), (11, 12)


@pytest.mark.slow
def test_five_commands_lead_from_a_corpus_to_a_table_judged_by_a_judge_of_real_voices(
    real_media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    voices = real_media / "ravdess_speech"
    for actor in (*TRAINED, *TESTED):  # one repetition of each sentence, which keeps it short
        (tmp_path / "voices" / f"Actor_{actor:02}").mkdir(parents=True)
        for path in sorted((voices / f"Actor_{actor:02}").glob("*-01-??.flac")):
            shutil.copy(path, tmp_path / "voices" / path.parent.name)

    def give(command: str, following: str) -> str:
        """Give a command as a shell would; what it prints from its next command's name on, to the end of that line."""
        program, *arguments = shlex.split(command)
        assert program == "avemo-eval"
        assert main(arguments) == 0
        printed = capsys.readouterr().out
        return next((line[line.index(following) :] for line in printed.splitlines() if following in line), printed)

    speakers = ",".join(f"actor-{actor}" for actor in TESTED)
    asking = give(f"avemo-eval data import ravdess voices --out mine --test_speakers {speakers}", "avemo-eval --model")
    training = give(asking, "avemo-eval recognizer train")
    judging = give(training, "avemo-eval judge runs/")
    scoring = give(judging, "avemo-eval score")
    table = give(scoring, "no further command")
    row = next(line for line in table.splitlines() if line.startswith("baseline "))
    assert "—" not in row.split()
    assert "not judged yet" not in table
    assert "recognizer train" not in table
