"""Oracles answer the label of the clip whose stream they are shown, and guess where they are shown none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.clips import make_clip, melody
from support.questions import ask
from support.sound_files import SOUND_FORMATS, sound_file

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS, Clip, Dialogue, Release, Turn
from avemo_harness.benchmark.request import Response
from avemo_harness.errors import MediaError
from avemo_harness.models.base import ModelSetup, NoArguments
from avemo_harness.models.controls import AudioOracle, VideoOracle

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
