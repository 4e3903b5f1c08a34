"""Oracles know a stream by its blocks, and the reference replies as the release did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.clips import make_clip, melody
from support.questions import ask, ask_in_words
from support.sound_files import SOUND_FORMATS, sound_file

from avemo_harness import evaluate, media
from avemo_harness.benchmark.release import EMOTIONS, Clip, Dialogue, Release, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.benchmark.request import Response
from avemo_harness.errors import MediaError, ModelError
from avemo_harness.models.base import ModelSetup, NoArguments
from avemo_harness.models.controls import AudioOracle, Reference, VideoOracle

WHOLE = [Clip.from_bytes(make_clip(1.0, seed)) for seed in range(4)]
SILENT = [Clip.from_bytes(media.remove_sound(make_clip(1.0, 10 + seed))) for seed in range(4)]


def voices(kind: str) -> list[Clip]:
    return [Clip.from_bytes(sound_file(kind, melody(1.0, seed=20 + seed))) for seed in range(4)]


def answers(
    oracle: type[AudioOracle] | type[VideoOracle], known: Sequence[Clip], asked: Sequence[Clip]
) -> list[Response]:
    """Answers about clips, where the release's are labelled by turns with the four emotions."""
    dialogues = tuple(
        Dialogue(f"d{number}", "t", "en", "CC0-1.0", (Turn(0, "user", "s", "Hi.", EMOTIONS[number % 4], clip=clip),))
        for number, clip in enumerate(known)
    )
    release = Release("memory", "small", "test", None, dialogues, (), "f")
    return list(oracle(NoArguments(), ModelSetup(releases=(release,))).generate([ask(clip) for clip in asked]))


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_the_audio_oracle_knows_voices_in_any_format(kind: str) -> None:
    known = [*WHOLE, *SILENT, *voices(kind)]
    asked = [*WHOLE, *voices(kind)]
    assert [answer.text for answer in answers(AudioOracle, known, asked)] == [*EMOTIONS, *EMOTIONS]


def test_the_video_oracle_knows_faces_without_sound() -> None:
    known = [*WHOLE, *SILENT, *voices("wav")]
    assert [answer.text for answer in answers(VideoOracle, known, [*WHOLE, *SILENT])] == [*EMOTIONS, *EMOTIONS]


def test_without_its_stream_an_oracle_guesses() -> None:
    for oracle, blind in ((VideoOracle, voices("flac")), (AudioOracle, SILENT)):
        guessed = answers(oracle, [*WHOLE, *blind], blind)
        assert {answer.error for answer in guessed} == {None}
        assert {answer.text for answer in guessed} <= set(EMOTIONS)


def test_a_damaged_clip_is_an_error_and_no_guess() -> None:
    damaged = Clip.from_bytes(WHOLE[0].read()[:3000])
    with pytest.raises(MediaError):
        answers(AudioOracle, [*WHOLE, damaged], [damaged])


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
    (reply,) = reference_answers(Clip.from_bytes(sound_file(kind, tone(440, 1.5))))
    assert reply.speech is not None
    assert (reply.text, len(reply.speech.samples)) == ("Hello to you.", 36_000)


def test_a_reply_that_was_recorded_without_sound_is_given_in_words() -> None:
    frames = [np.full((32, 32, 3), 90, np.uint8)] * 25
    silent = media.remove_sound(media.encode_clip(frames, tone(200)))
    assert reference_answers(Clip.from_bytes(silent)) == reference_answers(None) == [Response(text="Hello to you.")]


def reference_answers(reply: Clip | None) -> list[Response]:
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
