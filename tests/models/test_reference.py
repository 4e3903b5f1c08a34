"""`reference` replies with the release's own next turn, in text and sound, where there is one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.questions import ask_in_words
from support.sound_files import SOUND_FORMATS, sound_file

from avemo_harness import evaluate, media
from avemo_harness.benchmark.release import Clip, Dialogue, Release, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.benchmark.request import Response
from avemo_harness.errors import ModelError
from avemo_harness.models.base import ModelSetup, NoArguments
from avemo_harness.models.controls import Reference

TASK = """task: spoken
version: 1
dataset: {{path: {release}, name: small}}
condition: full_av
messages:
- role: user
  content: [{{type: clip}}]
output: {{type: spoken_response}}
"""


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(16_000 * seconds)) / 16_000)).astype(np.float32)


@pytest.fixture
def task(tmp_path: Path) -> str:
    frames = [np.full((32, 32, 3), 90, np.uint8)] * 25
    asked = Clip.from_bytes(media.encode_clip(frames, tone(200)))
    reply = Clip.from_bytes(media.encode_sound(tone(440, 1.5)))
    turns = (
        Turn(0, "user", "s", "Hello.", "happy", clip=asked),
        Turn(1, "assistant", "a", "Hello to you.", clip=reply),
        Turn(2, "user", "s", "Bye.", "sad", clip=asked),
    )
    write_release(tmp_path / "release", "small", {"test": [Dialogue("d", "t", "en", "CC0-1.0", turns)]})
    (tmp_path / "spoken.yaml").write_text(TASK.format(release=tmp_path / "release"))
    return str(tmp_path / "spoken.yaml")


def test_it_speaks_the_next_turn_and_is_asked_only_where_there_is_one(task: str, tmp_path: Path) -> None:
    result = evaluate("reference", task, output_path=tmp_path / "run")
    assert (result.tasks["spoken"].n_items, result.tasks["spoken"].n_answered) == (1, 1)
    line = json.loads(next((tmp_path / "run/responses").iterdir()).read_text())
    assert line["text"] == "Hello to you."
    samples, rate = soundfile.read(tmp_path / "run" / line["speech"])
    assert (rate, samples.ndim) == (24_000, 1)
    assert len(samples) == pytest.approx(36_000, abs=10)
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() * rate / len(samples) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_a_reply_is_spoken_from_a_sound_file_of_any_format(kind: str) -> None:
    (reply,) = answers(Clip.from_bytes(sound_file(kind, tone(440, 1.5))))
    assert reply.speech is not None
    assert (reply.text, len(reply.speech.samples)) == ("Hello to you.", 36_000)


def test_a_reply_that_was_recorded_without_sound_is_given_in_words() -> None:
    frames = [np.full((32, 32, 3), 90, np.uint8)] * 25
    silent = media.remove_sound(media.encode_clip(frames, tone(200)))
    assert answers(Clip.from_bytes(silent)) == answers(None) == [Response(text="Hello to you.")]


def answers(reply: Clip | None) -> list[Response]:
    """The reply to a turn whose next one has a clip."""
    turns = (Turn(0, "user", "s", "Hello.", "happy"), Turn(1, "assistant", "a", "Hello to you.", clip=reply))
    dialogue = Dialogue("d1", "t", "en", "CC0-1.0", turns)
    release = Release("memory", "small", "test", None, (dialogue,), (), "f")
    model = Reference(NoArguments(), ModelSetup(releases=(release,)))
    return list(model.generate([replace(ask_in_words("Hello.", output="reply"), turn_index=0)]))


def test_the_same_reply_gives_the_same_bytes(task: str, tmp_path: Path) -> None:
    stored = []
    for name in ("one", "two"):
        evaluate("reference", task, output_path=tmp_path / name)
        stored.append(next((tmp_path / name / "speech").iterdir()).read_bytes())
    assert stored[0] == stored[1]


def test_releases_that_share_an_id_are_refused_since_it_could_give_the_wrong_reply(task: str, tmp_path: Path) -> None:
    turns = (Turn(0, "user", "s", "Hi.", "sad"), Turn(1, "assistant", "a", "Another reply."))
    write_release(tmp_path / "other", "small", {"test": [Dialogue("d", "t", "en", "CC0-1.0", turns)]})
    other = tmp_path / "other.yaml"
    other.write_text(TASK.format(release=tmp_path / "other").replace("task: spoken", "task: other"))
    with pytest.raises(ModelError, match=r"have a dialogue 'd', and they differ; make a run for each release"):
        evaluate("reference", [task, str(other)], output_path=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_that_only_names_emotions_is_not_asked_for_replies(task: str, tmp_path: Path) -> None:
    result = evaluate("random", task, output_path=tmp_path / "run")
    assert result.tasks["spoken"].status == "skipped"
    skipped = evaluate("reference", task, output_path=tmp_path / "other", skip_speech=True)
    assert skipped.tasks["spoken"].reason == "spoken replies are left out (--skip_speech)"
