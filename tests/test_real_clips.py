"""The four conditions on real voices and faces, through the command, and what the model was really given."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.real_release import CONFIG, TEST_ACTORS, TRAIN_ACTORS, write_real_release

from avemo_harness import files, media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip, Release, Turn
from avemo_harness.benchmark.release_loader import load_release

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(real_media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_real_release(tmp_path_factory.mktemp("real") / "release", real_media)


@pytest.fixture(scope="module")
def release(folder: Path) -> Release:
    return load_release(str(folder), CONFIG)


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `baseline`, trained on the release's train part, over the four conditions; replies are not judged."""
    output = tmp_path_factory.mktemp("run") / "run"
    done = evaluate(folder, output)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert done.stderr.count("no judge is named for the spoken replies to multiturn_real_reply") == 1
    return output


def evaluate(folder: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """The command, which names no judge."""
    return command("--model", "baseline", "--tasks", CONFIG, "--dataset", str(folder), "--output_path", str(output))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "avemo_harness", *arguments]
    environment = {**os.environ, "AVEMO_JUDGE": ""}
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def results(run: Path) -> dict[str, Any]:
    return json.loads((run / "results.json").read_text())


@pytest.fixture(scope="module")
def conditions() -> ConditionCache:
    """The cache that the run filled: what it gives is what the model was given."""
    return ConditionCache(files.cache_dir() / "conditions")


def user_turns(release: Release) -> Iterator[Turn]:
    return (turn for dialogue in release.dialogues for turn in dialogue.turns if turn.role == "user")


def clip_of(release: Release, dialogue_id: str, turn: int) -> Clip:
    clip = release.dialogue(dialogue_id).turns[turn].clip
    assert clip is not None
    return clip


def test_no_speaker_of_the_test_part_was_trained_on(folder: Path, release: Release) -> None:
    train = {turn.speaker_id for turn in user_turns(load_release(str(folder), CONFIG, "train"))}
    assert train == {f"actor{actor:02}" for actor in TRAIN_ACTORS}
    assert {turn.speaker_id for turn in user_turns(release)} == {f"actor{actor:02}" for actor in TEST_ACTORS}


def test_every_item_is_answered_without_errors(results: dict[str, Any], release: Release) -> None:
    tasks = results["tasks"]
    turns = len(list(user_turns(release)))
    assert turns == len(TEST_ACTORS) * 27
    for name in ("full_av", "audio_only", "video_only"):
        assert tasks[f"{CONFIG}_{name}"]["n_answered"] == turns
    assert tasks[f"{CONFIG}_conflict"]["n_answered"] == len(release.pairs) >= 24
    assert all(task["status"] == "complete" for task in tasks.values() if task["n_spoken"] is None)


def test_replies_to_people_are_kept_and_not_judged_until_a_judge_is_remembered(
    run: Path, results: dict[str, Any], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = results["tasks"][f"{CONFIG}_reply"]
    assert (reply["n_spoken"], reply["n_unjudged"], reply["n_errors"]) == (reply["n_items"], reply["n_items"], 0)
    assert (results["judge"], reply["metrics"]["ct_ers"]["value"]) == (None, None)
    copy = shutil.copytree(run, tmp_path / "run")
    answers = {path.name: path.read_bytes() for path in copy.glob("responses/*.jsonl")}
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert command("judge", "use", "embedded").returncode == 0
    done = evaluate(folder, copy)
    assert done.returncode == 0, done.stderr
    assert "no judge is named" not in done.stderr
    found = json.loads((copy / "results.json").read_text())
    reply = found["tasks"][f"{CONFIG}_reply"]
    assert (reply["n_unjudged"], reply["metrics"]["coverage"]["value"], reply["comparable"]) == (0, 1.0, False)
    assert found["judge"]["embedded"]
    assert reply["metrics"]["ct_ers"]["value"] is not None
    assert {path.name: path.read_bytes() for path in copy.glob("responses/*.jsonl") if path.stat().st_size} == answers


def test_the_three_preferences_share_out_the_conflict_items(results: dict[str, Any]) -> None:
    metrics = results["tasks"][f"{CONFIG}_conflict"]["metrics"]
    assert sum(metrics[name]["value"] for name in ("aar", "var", "olr")) == pytest.approx(1.0)


def test_emotion_is_heard_above_chance_from_actors_never_met(results: dict[str, Any]) -> None:
    accuracy = results["tasks"][f"{CONFIG}_audio_only"]["metrics"]["accuracy"]
    assert accuracy["ci_low"] > 0.25


def test_audio_only_freezes_the_face_and_keeps_the_sound(release: Release, conditions: ConditionCache) -> None:
    for turn in list(user_turns(release))[::4]:
        original = turn.clip.read()
        frozen = conditions.audio_only(turn.clip).read()
        pixels = media.decode_frames(frozen).pixels
        first = media.decode_frames(original).pixels[0].astype(np.int16)
        assert len(pixels) == media.probe(original).video.frames
        assert np.ptp(pixels, axis=0).max() <= 2
        # A level in each of Y, U and V, in which video is stored, is up to five in RGB.
        assert np.abs(pixels[0].astype(np.int16) - first).max() <= 5
        assert np.abs(pixels[0].astype(np.int16) - first).mean() < 0.5
        assert media.packet_digests(frozen).sound == media.packet_digests(original).sound


def test_video_only_keeps_the_face_and_says_nothing_of_the_voice(release: Release, conditions: ConditionCache) -> None:
    levels = []
    for turn in user_turns(release):
        original = turn.clip.read()
        hushed = conditions.video_only(turn.clip).read()
        assert media.packet_digests(hushed).video == media.packet_digests(original).video
        noise, voice = media.decode_sound(hushed), media.decode_sound(original)
        shared = min(len(noise), len(voice))
        correlation = np.corrcoef(noise[:shared], voice[:shared])[0, 1]
        assert abs(correlation) < 0.05
        levels.append(20 * np.log10(np.sqrt(np.mean(noise**2))))
    assert max(levels) - min(levels) < 0.5
    assert np.mean(levels) == pytest.approx(-26, abs=0.5)


def test_each_stream_of_a_conflict_clip_is_its_named_sources(release: Release, conditions: ConditionCache) -> None:
    for pair in release.pairs:
        audio = clip_of(release, *pair.audio)
        video = clip_of(release, *pair.video)
        made = media.packet_digests(conditions.conflict(audio, video).read())
        heard, seen = media.packet_digests(audio.read()).sound, media.packet_digests(video.read()).video
        assert made.sound == heard[: len(made.sound)]
        assert sorted(made.video) == sorted(seen[: len(made.video)])
        assert len(made.sound) > 0.6 * len(heard)
        assert len(made.video) > 0.6 * len(seen)
