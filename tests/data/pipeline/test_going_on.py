"""A build whose tools failed goes on where they were, once they are given more time or stand elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.clips import make_clip, melody
from support.tool_servers import RATE, ToolServer
from support.waiting import PATIENCE_S

from avemo_harness.data.pipeline.build import BuildResult, build_release
from avemo_harness.data.pipeline.config import load_config
from avemo_harness.errors import UsageError

SECONDS = 2.0
SHARED = """licence: CC0-1.0
speakers: 2
splits:
  singleturn_synthetic: {dialogues: 4, conflict_pairs: 0}
  multiturn_synthetic: {dialogues: 0, conflict_pairs: 0}
"""
TOOL = "import os, shutil, sys, time; time.sleep(1); shutil.copy(os.environ['CLIP'], sys.argv[1])"


@pytest.fixture(autouse=True)
def _clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip.mp4").write_bytes(make_clip(SECONDS))
    monkeypatch.setenv("CLIP", str(tmp_path / "clip.mp4"))


@pytest.fixture
def voices(server: ToolServer) -> ToolServer:
    server.sound = melody(SECONDS, RATE)
    return server


def build(folder: Path, *stages: str, retry_failed: bool = False) -> BuildResult:
    (folder / "build.yaml").write_text(SHARED + "".join(stages))
    config = load_config(folder / "build.yaml")
    return build_release(config, folder / "release", lambda line: None, retry_failed=retry_failed)


def speech(address: str, attempts: int) -> str:
    return f"speech: {{backend: openai_speech, model: m, voice: v, base_url: '{address}', attempts: {attempts}}}\n"


def face(timeout_s: float, *more: str, cwd: str = "") -> str:
    argv = json.dumps([sys.executable, "-c", TOOL, "{out.mp4}", "{in.wav}", "{emotion}", *more])
    where = f"cwd: '{cwd}', env: [CLIP], timeout_s: {timeout_s}, min_side: 64"
    return f"face: {{backend: command, tool: Slow, version: '1', argv: {argv}, emotion_input: label, {where}}}\n"


def test_a_server_may_move_and_be_asked_more_often(tmp_path: Path, voices: ToolServer) -> None:
    voices.faults.extend(["500"] * 3)
    assert len(build(tmp_path, speech(f"{voices.url}/v1", attempts=1)).failed) == 3
    asked = len(voices.asked)
    moved = voices.url.replace("127.0.0.1", "localhost")
    assert build(tmp_path, speech(f"{moved}/v1", attempts=4), retry_failed=True).failed == {}
    assert len(voices.asked) == asked + 3, "what was there was not asked for again"


def test_a_tool_may_be_given_more_time_and_another_folder(tmp_path: Path, voices: ToolServer) -> None:
    spoken = speech(f"{voices.url}/v1", attempts=1)
    with pytest.raises(UsageError, match=r"no dialogue could be made; the first reason: .*did not end within 0\.3 s"):
        build(tmp_path, spoken, face(0.3))
    result = build(tmp_path, spoken, face(PATIENCE_S, cwd=str(tmp_path)), retry_failed=True)
    assert (result.failed, result.dialogues["singleturn_synthetic"]) == ({}, 4)
    assert build(tmp_path, spoken, face(2 * PATIENCE_S)).failed == {}


def test_a_tool_that_is_called_otherwise_is_another_tool(tmp_path: Path, voices: ToolServer) -> None:
    spoken = speech(f"{voices.url}/v1", attempts=1)
    build(tmp_path, spoken, face(PATIENCE_S))
    with pytest.raises(UsageError, match="holds a build of another configuration, or by other tools"):
        build(tmp_path, spoken, face(PATIENCE_S, "--level=2"))
