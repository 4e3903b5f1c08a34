"""`avemo-eval requests` prints how many questions it wrote and the command that scores their answers."""

from __future__ import annotations

import json
import shlex
import signal
from pathlib import Path
from typing import get_args

import pytest
from support.releases import write_text_release, write_text_task
from support.whole_runs import results_of

from avemo_harness.cli import main
from avemo_harness.cli.requests import SOUND_PARTS
from avemo_harness.models.served.messages import Messenger, SoundPart


def test_the_printed_command_scores_the_answers_to_just_these_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 12))
    folder = tmp_path / "to answer"
    command = ["requests", "--tasks", str(task), "--out", str(folder), "--limit", "5", "--where", "speaker_id=speaker1"]
    assert main([*command, "--gen_kwargs", "max_new_tokens=9"]) == 0
    *counts, then = capsys.readouterr().out.splitlines()
    assert counts == [
        f"3 requests of 1 tasks, 0 clips: {folder}/requests.jsonl",
        f"answers go into {folder}/answers.jsonl ({folder}/README.md says how); then:",
    ]
    questions = [json.loads(line) for line in (folder / "requests.jsonl").open()]
    assert {question["generation"]["max_new_tokens"] for question in questions} == {9}
    answers = [{"item": question["item"], "task": question["task"], "text": "happy"} for question in questions]
    (folder / "answers.jsonl").write_text("\n".join(map(json.dumps, answers)))
    program, *words = shlex.split(then)
    assert program == "avemo-eval"
    assert main([*words, "--output_path", str(tmp_path / "run")]) == 0
    assert "replies: 3 of 3 items have an answer\n" in capsys.readouterr().err
    assert results_of(tmp_path / "run")["tasks"]["text_only"]["n_answered"] == 3


def test_a_folder_that_the_next_command_could_not_name_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["requests", "--tasks", "demo", "--out", str(tmp_path / "a,b")]) == 2
    assert "it splits at commas" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["1234567", "0.123456789"])
def test_the_printed_command_has_every_digit_of_the_limit(
    limit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 12))
    turns = ["--where", "turn_index=0"]
    assert main(["requests", "--tasks", str(task), "--out", str(tmp_path / "questions"), "--limit", limit, *turns]) == 0
    assert f" --limit {limit} --where turn_index=0\n" in capsys.readouterr().out


def test_a_request_to_end_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(self: Messenger, conversation: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    task = write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 3))
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(Messenger, "messages", end)
    before = signal.getsignal(signal.SIGTERM)
    try:
        code = main(["requests", "--tasks", str(task), "--out", str(tmp_path / "out" / "questions")])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (code, list((tmp_path / "out").iterdir())) == (130, [])


def test_every_form_of_sound_can_be_chosen() -> None:
    assert get_args(SoundPart) == SOUND_PARTS
