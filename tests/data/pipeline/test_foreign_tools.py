"""A build by foreign tools alone: a chat server writes, a speech server speaks, a command animates."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import pretend_tool
from support.clips import make_clip, melody
from support.tool_servers import DATED_MODEL, KEY, RATE, serve_tools
from support.waiting import pass_over

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.pipeline.build import build_release
from avemo_harness.data.pipeline.config import load_config
from avemo_harness.data.sharing.assets import find_assets
from avemo_harness.data.sharing.contents import read_contents

SECONDS = 2.0
SPLITS = {"singleturn_synthetic": 8, "multiturn_synthetic": 4}
ARGV = [sys.executable, pretend_tool.__file__, "{emotion}", "{out.mp4}", "{in.wav}", "{in.png}", "--key=${TOOL_KEY}"]
YAML = f"""licence: CC-BY-4.0
speakers: 2
voices: [low, high]
splits:
  singleturn_synthetic: {{dialogues: 8, conflict_pairs: 2}}
  multiturn_synthetic: {{dialogues: 4, conflict_pairs: 2}}
dialogue: {{backend: openai, base_url: "${{SERVER}}", model: tiny-writer, api_key_env: TOOL_KEY}}
speech: {{backend: openai_speech, base_url: "${{SERVER}}", model: tiny-voice, api_key_env: TOOL_KEY, licence: CC-BY}}
face:
  backend: command
  tool: Pretend
  version: "1"
  argv: {json.dumps(ARGV)}
  env: [STOCK]
  min_side: 64
  emotion_input: label
portraits: {{folder: "${{STOCK}}/people", table: "${{STOCK}}/people.csv"}}
workers: 4
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the release and what it was made in; each server's first answers go wrong."""
    folder = tmp_path_factory.mktemp("foreign")
    pictures = folder / "stock" / "people"
    pictures.mkdir(parents=True)
    for seed, emotion in enumerate(EMOTIONS):
        (folder / "stock" / emotion).write_bytes(make_clip(SECONDS, seed))
    for name in ("ann", "ben"):
        Image.new("RGB", (128, 128), (200, 150, 120)).save(pictures / f"{name}.png")
    (folder / "stock" / "people.csv").write_text("id,gender,licence\nann,female,CC0\nben,male,AI-Face EULA\n")
    (folder / "foreign.yaml").write_text(YAML)
    with serve_tools() as server, pytest.MonkeyPatch.context() as patch:
        server.sound = melody(SECONDS, RATE)
        server.faults.extend(["429", "500", "cut", "no json"])
        patch.setenv("STOCK", str(folder / "stock"))
        patch.setenv("SERVER", f"{server.url}/v1")
        patch.setenv("TOOL_KEY", KEY)
        patch.setenv("AVEMO_CACHE", str(folder / "cache"))
        patch.setattr("avemo_harness.http.sleep", pass_over)
        result = build_release(load_config(folder / "foreign.yaml"), folder / "release", lambda line: None)
    assert result.failed == {}
    assert result.dialogues == SPLITS
    return folder


@pytest.fixture
def provenance(built: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (built / "release" / "provenance.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("split", SPLITS)
def test_servers_and_commands_make_a_release(built: Path, split: str) -> None:
    for dialogue in load_release(str(built / "release"), split).dialogues:
        for turn in dialogue.turns:
            assert turn.clip is not None
            assert (media.probe(turn.clip.read()).video is not None) == (turn.role == "user")
            assert turn.duration_s == pytest.approx(SECONDS, abs=0.1)


def test_what_made_each_clip_is_recorded(provenance: list[dict[str, Any]]) -> None:
    users = [line for line in provenance if line["shown_by"]]
    assert {line["written_by"] for line in provenance} == {DATED_MODEL}
    assert {line["shown_by"] for line in users} == {"Pretend"}
    assert {(line["portrait"], line["no_derivatives"]) for line in users} == {("ann", False), ("ben", True)}


def test_the_licence_of_a_tool_is_recorded_and_told(built: Path, provenance: list[dict[str, Any]]) -> None:
    assert {line["spoken_licence"] for line in provenance} == {"CC-BY"}
    contents = read_contents(built / "release")
    assets = {one.what: one for one in find_assets(contents.releases, contents.records)}
    assert assets["spoken by openai_speech"].licence == "CC-BY"
    assert assets["spoken by openai_speech"].clips == len(provenance)


def test_conflict_pairs_show_one_picture(built: Path, provenance: list[dict[str, Any]]) -> None:
    shown = {(line["dialogue_id"], line["turn"]): line["portrait"] for line in provenance}
    for split in SPLITS:
        pairs = load_release(str(built / "release"), split).pairs
        assert len(pairs) == 2
        for pair in pairs:
            assert shown[pair.audio] == shown[pair.video]


def test_a_key_is_written_nowhere(built: Path) -> None:
    folders = (built / name for name in ("release", "release.work", "cache"))
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
