"""Builds: equal configurations give equal bytes, and what was interrupted goes on."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from support.clips import make_clip, melody
from support.tool_servers import RATE, ToolServer
from support.utterances import with_portrait
from support.waiting import PATIENCE_S, wait_until

from avemo_harness import media
from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.cli import main
from avemo_harness.data.pipeline import builtin
from avemo_harness.data.pipeline.backends import SpeechAudio, Utterance
from avemo_harness.data.pipeline.build import BuildResult, build_release
from avemo_harness.data.pipeline.builtin import BuiltinFace, BuiltinSpeech
from avemo_harness.data.pipeline.config import BackendConfig, BuildConfig, SplitConfig, SplitsConfig, load_config
from avemo_harness.errors import BuildError, UsageError

CONFIG = BuildConfig(
    name="small",
    speakers=2,
    splits=SplitsConfig(
        singleturn_synthetic=SplitConfig(dialogues=8, conflict_pairs=4),
        multiturn_synthetic=SplitConfig(dialogues=4, conflict_pairs=2),
    ),
    workers=1,
)
YAML = """name: small
speakers: 2
workers: 2
splits:
  singleturn_synthetic: {dialogues: 8, conflict_pairs: 4}
  multiturn_synthetic: {dialogues: 4, conflict_pairs: 2}
"""


def quiet(line: str) -> None:
    del line


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "release"
    result = build_release(CONFIG, out, quiet)
    assert result.failed == {}
    assert result.dialogues == {"singleturn_synthetic": 8, "multiturn_synthetic": 4}
    assert result.pairs == {"singleturn_synthetic": 4, "multiturn_synthetic": 2}
    return out


@pytest.fixture(scope="module")
def single(built: Path) -> Release:
    return load_release(str(built), "singleturn_synthetic")


@pytest.fixture(scope="module")
def multi(built: Path) -> Release:
    return load_release(str(built), "multiturn_synthetic")


def test_users_are_seen_and_heard_and_assistants_heard(single: Release, multi: Release) -> None:
    for release in (single, multi):
        for dialogue in release.dialogues:
            for turn in dialogue.turns:
                assert turn.clip is not None
                info = media.probe(turn.clip.read())
                assert info.sound is not None
                assert info.sound.rate == 16_000
                assert (info.video is not None) == (turn.role == "user")
                if info.video is not None:
                    assert info.video.fps == 25
                    assert abs(info.video.duration_s - info.sound.duration_s) < 0.08
                assert turn.duration_s == pytest.approx(info.duration_s, abs=0.08)
                assert turn.style_prompt
                assert len(turn.valence) == len(turn.arousal) == max(1, round(2 * turn.duration_s))


def test_takes_share_words_and_history_and_differ_in_the_last_emotion(multi: Release) -> None:
    stories = defaultdict(list)
    for dialogue in multi.dialogues:
        stories[tuple(turn.text for turn in dialogue.turns)].append(dialogue)
    for takes in stories.values():
        last = max(turn.turn_index for turn in takes[0].turns if turn.role == "user")
        assert Counter(take.turns[last].emotion for take in takes).keys() == {"neutral", "happy", "angry", "sad"}
        for turn in range(last):
            assert len({take.turns[turn].clip.sha256 for take in takes if take.turns[turn].clip}) == 1
        assert len({take.turns[last].clip.sha256 for take in takes if take.turns[last].clip}) == 4


def test_the_same_command_again_changes_nothing(built: Path) -> None:
    before = contents(built)
    build_release(CONFIG, built, quiet)
    assert contents(built) == before


@pytest.mark.slow
def test_killed_at_ten_random_moments_a_build_ends_with_the_same_bytes(built: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "small.yaml", tmp_path / "release"
    config.write_text(YAML)
    command = [sys.executable, "-m", "avemo_harness", "data", "build", str(config), "--out", str(out)]
    moments, kills = random.Random(5), 0
    for number in range(10):
        # Half of the kills fall into start-up, half come when some more has been made.
        enough = made(out) + moments.randrange(1, 5) if number % 2 else 0
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda n=enough, p=process: made(out) >= n or p.poll() is not None, "some more is made")
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert kills > 5
    assert contents(out) == contents(built)


def made(out: Path) -> int:
    """Files that the stages of a build have made so far."""
    return sum(path.is_file() for path in out.with_name(f"{out.name}.work").glob("units/**/*"))


class Faltering(BuiltinSpeech):
    """Fails on sad words, once or always."""

    broken = True

    def speak(self, utterance: Utterance) -> SpeechAudio:
        if self.broken and utterance.line.emotion == "sad":
            raise BuildError(f"{utterance.unit_id}: the voice broke")
        return super().speak(utterance)


def test_what_fails_is_left_out_told_and_made_again_only_on_request(
    tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin, "BuiltinSpeech", Faltering)
    out = tmp_path / "release"
    result = build_release(CONFIG, out, quiet)
    assert result.dialogues["singleturn_synthetic"] == 6
    assert all("the voice broke" in why for why in result.failed.values())
    assert json.loads((out / "build.json").read_text())["failed"]
    emotions = Counter(one.turns[0].emotion for one in load_release(str(out), "singleturn_synthetic").dialogues)
    assert set(emotions) == {"neutral", "happy", "angry"}
    monkeypatch.setattr(Faltering, "broken", False)
    assert build_release(CONFIG, out, quiet).failed == result.failed
    assert build_release(CONFIG, out, quiet, retry_failed=True).failed == {}
    assert contents(out) == contents(built)


class Odd(BuiltinSpeech):
    """Does what nobody thought of, or finds that it cannot be used at all."""

    error: Exception = ZeroDivisionError("division by zero")

    def speak(self, utterance: Utterance) -> SpeechAudio:
        if utterance.line.emotion == "sad":
            raise self.error
        return super().speak(utterance)


def test_an_odd_error_costs_its_unit_and_no_other(tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "BuiltinSpeech", Odd)
    result = build_release(CONFIG, tmp_path / "release", quiet)
    assert result.dialogues["singleturn_synthetic"] == 6
    assert set(result.failed.values()) == {"ZeroDivisionError: division by zero"}
    monkeypatch.setattr(Odd, "error", UsageError("voices: there is none"))
    with pytest.raises(UsageError, match="voices: there is none"):
        build_release(CONFIG, tmp_path / "release", quiet, retry_failed=True)


def test_a_damaged_unit_is_made_anew(tmp_path: Path, built: Path) -> None:
    out = tmp_path / "release"
    shutil.copytree(built.with_name("release.work"), tmp_path / "release.work")
    for name in ("script.json", "speech.wav", "clip.mp4"):
        damaged = sorted((tmp_path / "release.work" / "units").rglob(name))[0]
        damaged.write_bytes(damaged.read_bytes()[:-10])
    lines: list[str] = []
    build_release(CONFIG, out, lines.append)
    assert contents(out) == contents(built)
    assert "dialogue: 1 of 1 made (11 were there)" in lines[0]


def test_what_a_killed_build_left_is_cleared_away_and_nothing_else(tmp_path: Path, built: Path) -> None:
    out = tmp_path / "release"
    for folder in (built, built.with_name("release.work")):
        shutil.copytree(folder, tmp_path / folder.name)
    (tmp_path / ".release.k4_2x7bq" / "release" / "multiturn_synthetic").mkdir(parents=True)
    kept = [tmp_path / ".release.settings" / "mine.txt", tmp_path / ".release2.k4_2x7bq" / "release" / "mine.txt"]
    for file in kept:
        file.parent.mkdir(parents=True)
        file.touch()
    build_release(CONFIG, out, quiet)
    assert not (tmp_path / ".release.k4_2x7bq").exists()
    assert all(file.exists() for file in kept)


@pytest.mark.parametrize("out", [".", "..", "/", "a/.."])
def test_a_path_without_a_name_is_no_place_for_a_release(out: str) -> None:
    with pytest.raises(UsageError, match="expected the name of a folder for the release"):
        build_release(CONFIG, Path(out), quiet)


def test_a_file_is_no_place_for_a_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "release").write_text("mine")
    assert main(["data", "build", "--out", str(tmp_path / "release")]) == 2
    assert "release: is a file; name a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_the_built_in_writer_writes_english_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the built-in writer writes English, not 'de'"):
        build_release(CONFIG.model_copy(update={"language": "de"}), tmp_path / "release", quiet)


def test_a_folder_that_holds_something_else_is_left_alone(built: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("important")
    with pytest.raises(UsageError, match="is there and is no build"):
        build_release(CONFIG, tmp_path / "mine", quiet)
    with pytest.raises(UsageError, match="holds a build of another configuration"):
        build_release(CONFIG.model_copy(update={"seed": 1}), built, quiet)


@pytest.mark.parametrize(
    ("stage", "section", "message"),
    [
        ("speech", {"backend": "builtinn"}, "unknown speech_backend 'builtinn'; nearest: 'builtin'"),
        ("face", {"backend": "builtin", "sides": 64}, "face: builtin takes no argument 'sides'; nearest: 'side'"),
        ("dialogue", {"backend": "openai", "model": "m"}, "dialogue: openai needs base_url="),
    ],
)
def test_tools_are_named_and_take_what_they_take(
    tmp_path: Path, stage: str, section: dict[str, object], message: str
) -> None:
    config = CONFIG.model_copy(update={stage: BackendConfig.model_validate(section)})
    with pytest.raises(UsageError, match=message):
        build_release(config, tmp_path / "release", quiet)


def test_the_command_tells_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.yaml").write_text(
        "splits:\n  singleturn_synthetic: {dialogues: 4, conflict_pairs: 2}\n"
        "  multiturn_synthetic: {dialogues: 0, conflict_pairs: 0}\nworkers: 1\n"
    )
    out = tmp_path / "release"
    assert main(["data", "build", str(tmp_path / "tiny.yaml"), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "singleturn_synthetic: 4 dialogues, 2 conflict pairs" in told.out
    assert "face: 4 of 4 made" in told.err


def test_a_foreign_voice_moves_the_built_in_mouth() -> None:
    rng = np.random.default_rng(0)
    loud = np.repeat([0.0, 0.5, 0.0, 0.5], 8_000) * rng.standard_normal(32_000)
    opening = builtin.mouth_opening(loud.astype(np.float32), 50)
    assert opening[[5, 30]].max() < 0.1
    assert opening[[18, 43]].min() > 0.5


def test_faces_last_as_long_as_their_sound() -> None:
    sound = SpeechAudio(np.random.default_rng(1).standard_normal(30_011).astype(np.float32) / 10, 16_000)
    clip = BuiltinFace(BuiltinFace.Arguments(side=64)).animate(with_portrait(None), sound)
    info = media.probe(clip)
    assert info.video is not None
    assert info.video.frames == round(30_011 / 16_000 * 25)


SECONDS = 2.0
SHARED = """licence: CC0-1.0
speakers: 2
splits:
  singleturn_synthetic: {dialogues: 4, conflict_pairs: 0}
  multiturn_synthetic: {dialogues: 0, conflict_pairs: 0}
"""
TOOL = "import os, shutil, sys, time; time.sleep(1); shutil.copy(os.environ['CLIP'], sys.argv[1])"


@pytest.fixture
def voices(server: ToolServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToolServer:
    """A server of voices, beside a clip for the tool of faces."""
    (tmp_path / "clip.mp4").write_bytes(make_clip(SECONDS))
    monkeypatch.setenv("CLIP", str(tmp_path / "clip.mp4"))
    server.sound = melody(SECONDS, RATE)
    return server


def build(folder: Path, *stages: str, retry_failed: bool = False) -> BuildResult:
    (folder / "build.yaml").write_text(SHARED + "".join(stages))
    config = load_config(folder / "build.yaml")
    return build_release(config, folder / "release", quiet, retry_failed=retry_failed)


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
