"""A server that others wrote, `transformers serve`, names the emotion of sounds that `openai` sends it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clips import RATE, melody
from support.foreign_servers import SERVING, ForeignServer, NoIndexError, make_environment, serving_transformers
from support.waiting import PATIENCE_S
from support.whole_runs import responses_of, results_of

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS, Clip, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release

pytestmark = pytest.mark.slow

CONFIG = "singleturn_synthetic"
TASK = f"{CONFIG}_audio_only"
SECONDS = (1.0, 2.0, 3.0)
TOKENS_A_SECOND = 25
"""Of sound, in Qwen2.5-Omni."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints") / "qwen"


@pytest.fixture(scope="module")
def server(_quiet: None, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    """A tiny Qwen2.5-Omni whose every answer is a label, served on the CPU."""
    from support.tiny_qwen_omni import answer_with_labels, build

    try:
        python = make_environment(tmp_path_factory.mktemp("serving") / "venv", SERVING)
    except NoIndexError as error:
        pytest.skip(str(error))
    answer_with_labels(build(checkpoint))
    with serving_transformers(python, checkpoint, tmp_path_factory.mktemp("scratch")) as running:
        yield running


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voices without a face: two of each emotion, of three lengths."""
    rows = [
        Dialogue(f"d{number}", "test", "en", "CC0-1.0", (_turn(number, SECONDS[number % len(SECONDS)]),))
        for number in range(2 * len(EMOTIONS))
    ]
    folder = tmp_path_factory.mktemp("release") / "voices"
    write_release(folder, CONFIG, {"test": rows})
    return folder


def _turn(number: int, seconds: float) -> Turn:
    clip = Clip.from_bytes(media.write_wave(melody(seconds, seed=number), RATE))
    emotion = EMOTIONS[number % len(EMOTIONS)]
    return Turn(0, "user", f"speaker{number}", "Kids are talking.", emotion, clip=clip, duration_s=seconds)


def run(
    server: ForeignServer, checkpoint: Path, release: Path, output: Path, arguments: str = ""
) -> subprocess.CompletedProcess[str]:
    # It has no decoder of video here, which a question with a picture would need, so it is not shown one.
    given = f"base_url={server.url},model={checkpoint},probe=false{arguments}"
    words = [sys.executable, "-m", "avemo_harness", "--model", "openai", "--model_args", given, "--tasks", TASK]
    argv = [*words, "--dataset", str(release), "--output_path", str(output)]
    settings = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=PATIENCE_S, env=settings)


@pytest.mark.parametrize("arguments", ["", ",stream=true", ",sound_part=audio_url"])
def test_sounds_are_heard_answered_with_labels_and_scored(
    arguments: str, server: ForeignServer, checkpoint: Path, release: Path, tmp_path: Path
) -> None:
    done = run(server, checkpoint, release, tmp_path / "run", arguments)
    assert done.returncode == 0, done.stderr + server.last_words()
    results = results_of(tmp_path / "run")
    task = results["tasks"][TASK]
    assert (task["status"], task["n_errors"], task["n_invalid"]) == ("complete", 0, 0)
    answers = {line["item"]: line for line in responses_of(tmp_path / "run")}
    assert {line["text"] for line in answers.values()} == {"happy", "angry"}
    lengths = {name: SECONDS[int(name[1:].partition("/")[0]) % len(SECONDS)] for name in answers}
    without_sound = {line["prompt_tokens"] - TOKENS_A_SECOND * lengths[name] for name, line in answers.items()}
    assert len(without_sound) == 1
    right = [
        EMOTIONS[int(name[1:].partition("/")[0]) % len(EMOTIONS)] == line["text"] for name, line in answers.items()
    ]
    assert task["metrics"]["accuracy"]["value"] == sum(right) / len(right)


def test_a_field_that_it_refuses_is_not_sent_with_questions(
    server: ForeignServer, checkpoint: Path, release: Path, tmp_path: Path
) -> None:
    before = server.log.read_text(encoding="utf-8").count("422 Unprocessable")
    done = run(server, checkpoint, release, tmp_path / "run")
    assert done.returncode == 0, done.stderr + server.last_words()
    assert results_of(tmp_path / "run")["identity"]["choices"] == "False"
    assert server.log.read_text(encoding="utf-8").count("422 Unprocessable") == before + 1
