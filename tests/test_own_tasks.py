"""Data sets of others from end to end: from an id of the Hub to tables, and seven emotions under all conditions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import MODEL, ChatServer, running
from support.hub_server import HubServer, serve
from support.small_tables import LABELS, voices_repository, write_meld_like
from support.waiting import PATIENCE_S
from support.whole_runs import results_of

from avemo_harness.cli import main

pytestmark = pytest.mark.slow

COMMANDS = """
import json, sys
from avemo_harness.cli import main
for command in json.loads(sys.argv[1]):
    print("$ avemo-eval", *command, flush=True)
    if code := main(command):
        sys.exit(code)
"""
"""Several commands in one process, since each would load PyTorch anew."""


def on_hub(hub: HubServer, folder: Path, *commands: list[str]) -> str:
    """Run commands in a folder; what they print."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def asking(model: str, *arguments: str) -> list[str]:
    given = ["--model_args", ",".join(arguments)] if arguments else []
    return ["--model", model, *given, "--tasks", "voices.yaml", "--output_path", f"run-{model}"]


def test_from_an_id_of_the_hub_to_tables_of_four_kinds_of_models(tmp_path: Path) -> None:
    from support.tiny_qwen_omni import build

    from avemo_harness.torch_setup import repair_torchvision

    repair_torchvision()
    checkpoint = build(tmp_path / "qwen")
    repository = voices_repository("lab/voices", count=6, shards=3, train=12)
    with serve(repository) as hub, running(ChatServer()) as server:
        said = on_hub(
            hub,
            tmp_path,
            ["new", "task", "voices", "--from", "lab/voices"],
            ["validate", "voices.yaml", "--data"],
            asking("baseline"),
            asking("qwen2.5-omni", f"pretrained={checkpoint}"),
            asking("openai", f"base_url={server.url}", f"model={MODEL}"),
            ["requests", "--tasks", "voices.yaml", "--out", "questions"],
        )
        assert "voices: 6 questions (anger 2, joy 2, sadness 2); the first 6 can be asked" in said
        with (tmp_path / "questions" / "answers.jsonl").open("w") as answers:
            for line in (tmp_path / "questions" / "requests.jsonl").read_text().splitlines():
                question = json.loads(line)
                assert question["labels"] == list(LABELS)
                answer = {"item": question["item"], "task": question["task"], "label": "joy"}
                print(json.dumps(answer), file=answers)
        runs = ["run-baseline", "run-qwen2.5-omni", "run-openai", "run-replies"]
        on_hub(hub, tmp_path, asking("replies", "path=questions"), ["compare", *runs], ["report", "run-baseline"])
    for run in runs:
        found = results_of(tmp_path / run)["tasks"]["voices"]
        assert (found["n_items"], found["n_errors"], found["status"]) == (6, 0, "complete"), run
    assert results_of(tmp_path / "run-replies")["tasks"]["voices"]["metrics"]["accuracy"]["value"] == 2 / 6
    assert (tmp_path / "run-baseline" / "report.html").exists()


SEVEN_ROW = """group: seven_emotions
title: Seven emotions
columns:
- {name: Acc_AV, condition: full_av, metric: accuracy}
- {name: Acc_A, condition: audio_only, metric: accuracy}
- {name: Acc_V, condition: video_only, metric: accuracy}
- {name: AAR, condition: conflict, metric: aar}
"""


def write_seven(folder: Path) -> None:
    """The proposed task under the four conditions, and the row of its group."""
    write_meld_like(folder, 7)
    rows = (folder / "test_sent_emo.csv").read_text().splitlines()
    table = [rows[0] + ",Clip", *(f"{row},clips/dia{row.split(',')[4]}_utt{row.split(',')[5]}.mp4" for row in rows[1:])]
    (folder / "meld.csv").write_text("\n".join(table) + "\n")
    assert main(["new", "task", "seven", "--from", str(folder / "meld.csv"), "--out", str(folder / "seven.yaml")]) == 0
    task = folder / "seven.yaml"
    task.write_text(task.read_text() + "group: seven_emotions\ncondition: full_av\n")
    (folder / "row.yaml").write_text(SEVEN_ROW)
    for condition in ("audio_only", "video_only", "conflict"):
        text = f"task: seven_{condition}\nextends: seven.yaml\ncondition: {condition}\n"
        if condition == "conflict":
            text += "opposites: [[joy, sadness], [joy, anger], [surprise, disgust]]\ncontext: {turns: none}\n"
            text += "scorers: [{name: modality_preference, metrics: [aar, var, olr]}]\nheadline: aar\n"
        (folder / f"seven_{condition}.yaml").write_text(text.replace("extends", "group: seven_emotions\nextends"))


def test_seven_emotions_of_conversations_under_all_conditions_with_report_comparison_and_exports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_seven(tmp_path / "data")
    asked = ["--tasks", "seven_emotions", "--include_path", str(tmp_path / "data")]
    found: dict[str, dict[str, Any]] = {}
    for model in ("audio-oracle", "video-oracle"):
        assert main(["--model", model, *asked, "--output_path", str(tmp_path / model)]) == 0
        found[model] = results_of(tmp_path / model)["tasks"]
        assert {facts["status"] for facts in found[model].values()} == {"complete"}
    assert found["audio-oracle"]["seven"]["n_items"] == 21
    assert found["audio-oracle"]["seven_audio_only"]["metrics"]["accuracy"]["value"] == 1.0
    assert found["video-oracle"]["seven_video_only"]["metrics"]["accuracy"]["value"] == 1.0
    assert found["audio-oracle"]["seven_conflict"]["metrics"]["aar"]["value"] == 1.0
    assert found["video-oracle"]["seven_conflict"]["metrics"]["var"]["value"] == 1.0
    audio, video = str(tmp_path / "audio-oracle"), str(tmp_path / "video-oracle")
    assert main(["report", audio]) == 0
    assert main(["compare", audio, video]) == 0
    assert main(["compare", audio]) == 0
    for form in ("csv", "md", "latex", "eval-results"):
        assert main(["export", audio, "--format", form, "--model_id", "lab/model", "--dataset_id", "lab/seven"]) == 0
    assert "seven" in (tmp_path / "audio-oracle" / "report.html").read_text()
