"""The demo: a balanced plan, made once and whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS, Release
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.synthesis.demo import (
    DemoPlan,
    DemoSize,
    PlannedDialogue,
    PlannedTurn,
    build_demo,
    demo_release,
    plan_demo,
)
from avemo_harness.errors import ReleaseError


@pytest.fixture(scope="module")
def test_part(small_demo: Path) -> Release:
    return load_release(str(small_demo), "demo", "test")


def test_both_parts_and_the_pairs_can_be_read(small_demo: Path, test_part: Release) -> None:
    assert len(test_part.dialogues) == 4
    assert len(test_part.pairs) == 2
    assert len(load_release(str(small_demo), "demo", "train").dialogues) == 8


def test_the_user_is_seen_and_the_assistant_only_heard(test_part: Release) -> None:
    for dialogue in test_part.dialogues:
        user, assistant = (media.probe(turn.clip.read()) for turn in dialogue.turns)
        assert user.video is not None
        assert user.sound is not None
        assert assistant.video is None


def test_lengths_and_paths_are_those_of_the_clips(test_part: Release) -> None:
    for turn in (turn for dialogue in test_part.dialogues for turn in dialogue.turns):
        assert media.probe(turn.clip.read()).duration_s == pytest.approx(turn.duration_s, abs=0.07)
        assert len(turn.valence) == len(turn.arousal) == max(1, round(2 * turn.duration_s))
        assert turn.va_rate_hz == 2


def test_several_processes_make_the_same_release_as_one(small_demo: Path, small_size: DemoSize, tmp_path: Path) -> None:
    build_demo(tmp_path / "release", workers=2, size=small_size)
    files = [path.relative_to(small_demo) for path in sorted(small_demo.rglob("*")) if path.is_file()]
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "release" / file).read_bytes() == (small_demo / file).read_bytes()


def test_only_the_part_that_is_needed_is_made(small_demo: Path, small_size: DemoSize, tmp_path: Path) -> None:
    folder, said = tmp_path / "release", list[str]()
    build_demo(folder, workers=1, size=small_size, parts=["test"], progress=said.append)
    assert said[0] == "making the 8 clips of the demo's test part, once"
    assert sorted(path.name for path in folder.rglob("*.parquet")) == ["test-00000.parquet"] * 2
    tested = load_release(str(folder), "demo", "test")
    assert tested.fingerprint == load_release(str(small_demo), "demo", "test").fingerprint
    with pytest.raises(ReleaseError, match=r"no Parquet file for split 'train' \(splits: test\)"):
        load_release(str(folder), "demo", "train")


def test_the_other_part_comes_beside_the_first_one_when_something_learns(
    small_demo: Path, small_size: DemoSize, tmp_path: Path
) -> None:
    folder = tmp_path / "release"
    for part in ("test", "train"):
        build_demo(folder, workers=1, size=small_size, parts=[part])
    for file in (path.relative_to(small_demo) for path in small_demo.rglob("*") if path.is_file()):
        assert (folder / file).read_bytes() == (small_demo / file).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["release"]
    with pytest.raises(ReleaseError, match="holds the demo release already"):
        build_demo(folder, workers=1, size=small_size, parts=["train"])


def test_it_is_said_beforehand_how_long_the_other_clips_take(
    monkeypatch: pytest.MonkeyPatch, small_size: DemoSize, tmp_path: Path
) -> None:
    clock = iter(range(10, 100_000, 10))
    monkeypatch.setattr("avemo_harness.data.synthesis.demo.time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr("avemo_harness.data.synthesis.demo._CLIPS_TIMED", 3)
    said: list[str] = []
    build_demo(tmp_path / "release", workers=1, size=small_size, parts=["test"], progress=said.append)
    assert said[1] == "3 of 8 clips made, about 50 s left on this machine"
    assert said[-2] == "7 of 8 clips made, about 10 s left on this machine"


def test_a_killed_build_shows_no_half_of_a_release(small_size: DemoSize, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    build = (
        "from pathlib import Path; from avemo_harness.data.synthesis.demo import build_demo, DemoSize; "
        f"build_demo(Path({str(folder)!r}), workers=1, size={small_size!r})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", build], env=environment) as process:
        while not any(tmp_path.iterdir()) and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    if not folder.exists():
        build_demo(folder, workers=1, size=small_size)
    assert len(load_release(str(folder), "demo", "test").dialogues) == 4


def test_a_release_that_another_process_made_meanwhile_stays(
    small_demo: Path, small_size: DemoSize, tmp_path: Path
) -> None:
    folder = tmp_path / "release"

    def overtake(sentence: str) -> None:
        if not folder.exists():
            shutil.copytree(small_demo, folder)
            (folder / "README.md").write_text((folder / "README.md").read_text() + "made by another process")

    build_demo(folder, workers=1, progress=overtake, size=small_size)
    assert [path.name for path in tmp_path.iterdir()] == ["release"]
    assert (folder / "README.md").read_text().endswith("made by another process")


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ReleaseError, match="not empty"):
        build_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.fixture(scope="module")
def plan() -> DemoPlan:
    return plan_demo()


def user_turns(dialogues: Iterable[PlannedDialogue]) -> list[PlannedTurn]:
    return [turn for dialogue in dialogues for turn in dialogue.turns if turn.role == "user"]


def speakers(dialogues: Iterable[PlannedDialogue]) -> set[str]:
    return {turn.spec.speaker.speaker_id for turn in user_turns(dialogues)}


def test_equal_sizes_give_equal_plans(plan: DemoPlan) -> None:
    assert plan == plan_demo()


PLAN = "a5898972e5186566ab16ff71defc6370697ac6b9a173ac9bee5732e9047b5116"
"""SHA-256 of the plan's repr, names of classes and fields included."""


def test_a_demo_that_was_made_before_is_found_again_by_its_plan_and_the_libraries(
    plan: DemoPlan, tmp_path: Path
) -> None:
    assert hashlib.sha256(repr(plan).encode()).hexdigest() == PLAN
    versions = [f"{name} {version(name)}" for name in ("av", "numpy", "pillow")]
    digest = hashlib.sha256(f"({plan!r}, {versions!r})".encode()).hexdigest()
    folder = tmp_path / f"demo-v1-{digest[:10]}"
    folder.mkdir()
    (folder / "README.md").write_text("- path: demo/test-*.parquet\n- path: demo/train-*.parquet\n")
    assert demo_release(tmp_path) == folder
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_four_emotions_are_exactly_balanced_in_each_part_and_for_each_speaker(plan: DemoPlan) -> None:
    for dialogues in (plan.train, plan.test):
        counts = Counter((turn.spec.speaker.speaker_id, turn.spec.emotion) for turn in user_turns(dialogues))
        assert len(counts) == 4 * len(speakers(dialogues))
        assert len(set(counts.values())) == 1
    assert len(user_turns(plan.test)) == 160
    assert len(user_turns(plan.train)) == 192


def test_emotions_are_balanced_at_every_place_of_a_talk(plan: DemoPlan) -> None:
    counts = Counter(
        (turn_index, turn.spec.emotion)
        for dialogue in plan.test
        if len(dialogue.turns) == 5
        for turn_index, turn in enumerate(dialogue.turns)
        if turn.role == "user"
    )
    assert len(counts) == 12
    assert set(counts.values()) == {4}


def test_nobody_is_in_both_parts(plan: DemoPlan) -> None:
    assert len(speakers(plan.train)) == 12
    assert len(speakers(plan.test)) == 4
    assert not speakers(plan.train) & speakers(plan.test)


def test_dialogues_have_one_turn_of_the_user_or_three(plan: DemoPlan) -> None:
    shapes = Counter(tuple(turn.role for turn in dialogue.turns) for dialogue in plan.test)
    assert shapes == {("user", "assistant"): 112, ("user", "assistant", "user", "assistant", "user"): 16}
    assert {len(dialogue.turns) for dialogue in plan.train} == {1}


def test_the_assistant_shares_joy_and_is_calm_otherwise(plan: DemoPlan) -> None:
    for dialogue in plan.test:
        for said, reply in zip(dialogue.turns[::2], dialogue.turns[1::2], strict=False):
            assert reply.spec.emotion == ("happy" if said.spec.emotion == "happy" else "neutral")
            assert reply.style_prompt


def test_each_sentence_of_a_speaker_is_said_in_all_emotions(plan: DemoPlan) -> None:
    emotions = defaultdict(list)
    for dialogue in (*plan.train, *(d for d in plan.test if len(d.turns) == 2)):
        spec = dialogue.turns[0].spec
        emotions[spec.speaker.speaker_id, spec.text].append(spec.emotion)
    assert all(sorted(said) == sorted(EMOTIONS) for said in emotions.values())


def test_ids_are_unique_and_tell_nothing(plan: DemoPlan) -> None:
    for name, dialogues in (("train", plan.train), ("test", plan.test)):
        assert [dialogue.dialogue_id for dialogue in dialogues] == [f"{name}-{i:04}" for i in range(len(dialogues))]


def test_the_emotion_before_does_not_tell_the_next(plan: DemoPlan) -> None:
    for dialogues in (plan.train, plan.test):
        order = [dialogue.turns[0].spec.emotion for dialogue in dialogues]
        repeats = sum(a == b for a, b in pairwise(order)) / len(order)
        assert abs(repeats - 0.25) < 2.6 * np.sqrt(0.25 * 0.75 / len(order))


def test_lengths_are_within_bounds_and_the_same_for_all_emotions(plan: DemoPlan) -> None:
    lengths = defaultdict(list)
    for turn in user_turns((*plan.train, *plan.test)):
        lengths[turn.spec.emotion].append(turn.spec.duration_s)
    every = np.concatenate(list(lengths.values()))
    assert every.min() >= 2
    assert every.max() <= 3.2
    for some in lengths.values():
        assert abs(np.mean(some) - every.mean()) < 2.6 * every.std() / np.sqrt(len(some))


def test_pairs_oppose_valence_of_one_speaker_and_sentence(plan: DemoPlan) -> None:
    dialogues = {dialogue.dialogue_id: dialogue for dialogue in plan.test}
    for pair in plan.pairs:
        audio, video = (dialogues[one].turns[0].spec for one in (pair.audio_dialogue_id, pair.video_dialogue_id))
        assert (audio.speaker, audio.text) == (video.speaker, video.text)
        assert (audio.emotion, video.emotion) == (pair.audio_emotion, pair.video_emotion)
        assert {"happy"} < {audio.emotion, video.emotion} <= {"happy", "sad", "angry"}
        assert abs(audio.duration_s - video.duration_s) <= 1
        assert pair.speaker_id == audio.speaker.speaker_id


def test_pairs_are_balanced_and_use_a_clip_once_in_each_order(plan: DemoPlan) -> None:
    counts = Counter((pair.audio_emotion, pair.video_emotion) for pair in plan.pairs)
    orders = [("happy", "sad"), ("sad", "happy"), ("happy", "angry"), ("angry", "happy")]
    assert counts == dict.fromkeys(orders, 14)
    assert len({pair.audio_dialogue_id for pair in plan.pairs}) == len(plan.pairs)
    assert len({pair.video_dialogue_id for pair in plan.pairs}) == len(plan.pairs)
