"""Systems that know nothing of the package answer questions from files, and are scored as models are."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.answer_folders import score_answers
from support.clips import melody
from support.one_by_one import OneByOne
from support.planted_judge import LevelJudge, plant
from support.real_release import CONFIG as REAL
from support.real_release import conflict_pairs, real_dialogues
from support.reply_server import ReceivedRequest, Reply, as_json, completion, replying
from support.synthetic_release import CONFIG, write_synthetic_release
from support.whole_runs import results_of

from avemo_harness import media
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.cli import main
from avemo_harness.models.base import Capabilities
from avemo_harness.models.served.messages import Messenger
from avemo_harness.report.results import score_run
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import judge_replies, prepare

SINGLE = "singleturn_synthetic"

SYSTEM = """
import json, sys
from pathlib import Path

folder = Path(sys.argv[1])
with (folder / "answers.jsonl").open("w") as answers:
    for line in (folder / "requests.jsonl").open():
        question = json.loads(line)
        names = []
        for message in question["messages"]:
            if isinstance(message["content"], list):
                for part in message["content"]:
                    if part["type"] == "input_audio":
                        names.append(part["input_audio"]["data"])
        number = int(Path(names[-1]).name[:8], 16)
        answer = {"item": question["item"], "task": question["task"]}
        if question["output"] == "label":
            answer["label"] = question["labels"][number % len(question["labels"])]
        else:
            answer["text"] = f"I heard clip {number}."
            answer["speech"] = names[-1]
        print(json.dumps(answer), file=answers)
"""
"""Knows nothing of the package: names a label by the digest of the sound, and replies by saying it again."""


class SameSystem(OneByOne):
    """The same answers by a model class."""

    name = "same"
    capabilities = Capabilities(frozenset({"label_text", "spoken_response"}), largest_batch=8)

    def __init__(self) -> None:
        self._sounds: dict[str, bytes] = {}
        self._messenger = Messenger("", "clips", "input_audio", self._keep)

    def _keep(self, kind: str, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        self._sounds[name] = data
        return name

    def answer(self, request: Request) -> Response:
        *_, message = self._messenger.messages(request.messages)
        *_, sound = (part["input_audio"]["data"] for part in message["content"] if part["type"] == "input_audio")
        number = int(sound[:8], 16)
        if isinstance(request.output, LabelOutput):
            return Response(text=request.output.labels[number % len(request.output.labels)])
        samples, rate = media.read_wave(self._sounds[sound])
        return Response(text=f"I heard clip {number}.", speech=Speech(samples, rate))


def answer_by_script(folder: Path, capsys: pytest.CaptureFixture[str], *asked: str) -> tuple[str, Path]:
    """Write questions, let `SYSTEM` answer them, and give the printed command, which is returned with its run."""
    questions, script, scored = folder / "questions", folder / "system.py", folder / "scored"
    assert main(["requests", *asked, "--out", str(questions)]) == 0
    *_, then = capsys.readouterr().out.splitlines()
    script.write_text(SYSTEM)
    subprocess.run([sys.executable, "-I", str(script), str(questions)], check=True)
    assert main([*shlex.split(then)[1:], "--recognizer", "embedded", "--output_path", str(scored)]) == 0
    assert "items have an answer\n" in capsys.readouterr().err
    return then, scored


def answer_by_class(folder: Path, **options: Any) -> dict[str, Any]:
    """The results of `SameSystem`."""
    prepared = prepare(RunConfig(model="same", **options), output_path=folder, model=SameSystem())
    prepared.ask()
    judge_replies(folder, "embedded", prepared.releases)
    score_run(folder)
    return results_of(folder)


@pytest.mark.slow
def test_a_script_that_answers_files_is_scored_as_a_model_class_that_answers_alike(
    real_media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, LevelJudge())
    dialogues = list(real_dialogues(real_media, "test", range(9, 11)))
    release = tmp_path / "release"
    write_release(release, REAL, {"test": dialogues}, {"test": list(conflict_pairs(dialogues))})
    then, scored = answer_by_script(tmp_path, capsys, "--tasks", REAL, "--dataset", str(release))
    questions, found = tmp_path / "questions", results_of(scored)
    expected = answer_by_class(tmp_path / "model", tasks=(REAL,), dataset=str(release))
    counts = {name: (task["n_answered"], task["n_errors"]) for name, task in found["tasks"].items()}
    assert counts.pop(f"{REAL}_conflict")[0] >= 4
    assert set(counts.values()) == {(54, 0)}
    assert found["tasks"] == expected["tasks"]

    lines = (questions / "answers.jsonl").read_text().splitlines()
    missing, doubled = json.loads(lines[0]), json.loads(lines[1])
    assert "label" in doubled
    changed = [*lines[1:], json.dumps({**doubled, "label": "none"}), json.dumps({**doubled, "item": "nobody/4"})]
    (questions / "answers.jsonl").write_text("\n".join(changed))
    assert main([*shlex.split(then)[1:], "--recognizer", "embedded", "--output_path", str(tmp_path / "changed")]) == 1
    said = capsys.readouterr().err
    assert f"1 without one ({missing['task']} {missing['item']})" in said
    assert f"1 with several, none where they differ ({doubled['task']} {doubled['item']})" in said
    assert f"1 for unknown items (nobody/4, answers.jsonl, line {len(changed)})" in said
    assert sum(task["n_errors"] for task in results_of(tmp_path / "changed")["tasks"].values()) == 2


def test_so_is_a_script_that_answers_questions_on_single_turns_and_pairs_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, LevelJudge())
    source = load_release(str(write_synthetic_release(tmp_path / "source", dialogues=3, turns=1)), CONFIG)
    release = tmp_path / "release"
    write_release(release, SINGLE, {"test": source.dialogues}, {"test": source.pairs})
    _, scored = answer_by_script(tmp_path, capsys, "--tasks", SINGLE, "--dataset", str(release))
    found, expected = results_of(scored), answer_by_class(tmp_path / "model", tasks=(SINGLE,), dataset=str(release))
    assert [task["n_answered"] for task in found["tasks"].values()] == [6] * 5
    assert found["tasks"] == expected["tasks"]


@pytest.mark.slow
def test_so_is_a_script_that_answers_a_part_of_the_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, LevelJudge())
    _, scored = answer_by_script(tmp_path, capsys, "--tasks", "demo", "--limit", "2")
    found, expected = results_of(scored), answer_by_class(tmp_path / "model", tasks=("demo",), limit=2)
    assert all(task["n_answered"] > 0 for task in found["tasks"].values())
    assert found["tasks"] == expected["tasks"]
    assert found["partial"]


def test_a_cascade_of_recognition_a_language_model_and_a_voice_is_scored(tmp_path: Path) -> None:
    """Each part depends on what the one before it gave: words on the sound, the reply on the words."""
    release = write_synthetic_release(tmp_path / "release", dialogues=1, turns=2)
    questions = tmp_path / "questions"
    command = ["requests", "--tasks", f"{CONFIG}_full_av,{CONFIG}_reply", "--dataset", str(release)]
    assert main([*command, "--out", str(questions)]) == 0
    with replying(recognize) as recognition, replying(write) as chat, replying(speak) as voice:
        cascade = Path(__file__).parent / "support" / "cascade.py"
        urls = [recognition.url, chat.url, voice.url]
        subprocess.run([sys.executable, "-I", str(cascade), str(questions), *urls], check=True)
        assert {asked.path for asked in recognition.asked} == {"/v1/audio/transcriptions"}
        assert len(recognition.asked) == 3  # clips of which it has heard none before
    result, errors = score_answers(questions, tmp_path / "run", f"{CONFIG}_*", dataset=str(release))
    assert errors == {}
    reply = result.tasks[f"{CONFIG}_reply"]
    assert (reply.n_answered, reply.n_unjudged) == (4, 0)
    assert reply.metrics["ct_ess"].value is not None
    assert result.tasks[f"{CONFIG}_full_av"].n_answered == 4
    assert result.tasks[f"{CONFIG}_audio_only"].status == "skipped"


def recognize(asked: ReceivedRequest) -> Reply:
    wave = asked.body[asked.body.index(b"RIFF") :].removesuffix(b"\r\n--cut--\r\n")
    samples, _ = media.read_wave(wave)
    return as_json({"text": f"I said it for {len(samples)} samples."})


def write(asked: ReceivedRequest) -> Reply:
    messages: list[Mapping[str, str]] = asked.payload["messages"]
    assert "I said it for" in messages[-1]["content"]
    wants_label = "exactly one word" in messages[-1]["content"]
    return as_json(completion("sad" if wants_label else f"That is {len(messages)} messages now."))


def speak(asked: ReceivedRequest) -> Reply:
    loud = np.float32(0.1 + 0.01 * len(asked.payload["input"]))
    return Reply(200, media.write_wave(loud * melody(1.0, 24_000), 24_000), {"Content-Type": "audio/wav"})
