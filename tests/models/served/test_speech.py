"""Speech in the container that comes, whatever was asked for; what is no speech is refused and asked for once."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from support.answering_server import answering, choice, completion
from support.questions import ask_in_words
from support.sound_containers import ADTS, BARE, FILES, RATE, TONE

from avemo_harness.benchmark.request import Response
from avemo_harness.errors import GenerationError
from avemo_harness.http_answers import AnswerError
from avemo_harness.models.served.answers import decode_base64, speech_of

WHOLE_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
WAVE = FILES["wav"][1]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def reply(data: Any, *, form: str = "wav", **arguments: Any) -> tuple[Response, int]:
    """The response to a reply whose sound comes so, and how often it was asked for."""
    body = completion(choice(content="I am glad.", audio={"id": "a", "data": data, "format": "mp3", "transcript": ""}))
    with answering(body) as server:
        model = server.model(speech=True, speech_format=form, attempts=2, **arguments)
        return model.generate([ask_in_words("Well?", output="reply")])[0], server.posts


def check_is_the_tone(response: Response) -> None:
    assert response.error is None
    assert response.speech is not None
    assert (len(response.speech.samples), response.speech.rate_hz) == (len(TONE), RATE)
    assert np.abs(response.speech.samples).mean() == pytest.approx(0.191, abs=0.004)


@WHOLE_AND_STREAMED
@pytest.mark.parametrize("form", ["wav", "pcm16"])
@pytest.mark.parametrize("name", FILES)
def test_a_container_is_known_by_its_content_whatever_was_asked_for_or_is_named(
    name: str, form: str, stream: bool
) -> None:
    response, posts = reply(encoded(FILES[name][1]), form=form, stream=stream)
    check_is_the_tone(response)
    assert posts == 1


@WHOLE_AND_STREAMED
@pytest.mark.parametrize(
    "text",
    [
        "data:audio/wav;base64," + encoded(WAVE),
        base64.encodebytes(WAVE).decode(),
        base64.urlsafe_b64encode(WAVE).decode(),
    ],
    ids=["data URL", "in lines", "URL-safe"],
)
def test_base64_is_read_as_servers_write_it(text: str, stream: bool) -> None:
    response, posts = reply(text, stream=stream)
    check_is_the_tone(response)
    assert posts == 1


@WHOLE_AND_STREAMED
@pytest.mark.parametrize("form", ["pcm16", "bare_wav"])
def test_bare_samples_are_speech_where_they_were_asked_for(form: str, stream: bool) -> None:
    check_is_the_tone(reply(encoded(BARE), form=form, stream=stream)[0])


NEVER = {
    "bare samples that nobody asked for": (encoded(BARE), "wav", "in no known container"),
    "floats": (encoded(TONE.tobytes()), "wav", "bare 32-bit floats"),
    "floats for samples": (encoded(TONE.tobytes()), "pcm16", "bare 32-bit floats"),
    "AAC": (encoded(ADTS), "wav", "AAC"),
    "AAC for samples": (encoded(ADTS), "pcm16", "AAC"),
    "an address": ("https://example.org/a.wav", "wav", "no base64"),
    "numbers": ([1, 2, 3], "wav", "no base64"),
    "text": (encoded(b"<html>no sound</html>"), "wav", "in no known container"),
}


@WHOLE_AND_STREAMED
@pytest.mark.parametrize("name", NEVER)
def test_what_can_never_be_read_is_asked_for_once(name: str, stream: bool) -> None:
    data, form, why = NEVER[name]
    response, posts = reply(data, form=form, stream=stream)
    assert response.speech is None
    assert response.error is not None
    assert "the server gave speech" in response.error
    assert why in response.error
    assert posts == 1


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "opus"])
def test_speech_that_is_cut_off_is_asked_for_again(name: str) -> None:
    data = FILES[name][1]
    response, posts = reply(encoded(data[: len(data) // 2]))
    assert response.error is not None
    assert "not answered in 2 attempts; the last one: speech that cannot be read" in response.error
    assert posts == 2


@pytest.mark.parametrize("length", [7, 1000, 1001])
@pytest.mark.parametrize("name", FILES)
def test_a_file_may_be_cut_anywhere(name: str, length: int) -> None:
    text = "data:audio/wav;base64," + encoded(FILES[name][1])
    pieces = [text[start : start + length] for start in range(0, len(text), length)]
    speech = speech_of(decode_base64(pieces), None)
    assert speech is not None
    assert len(speech.samples) == len(TONE)


@pytest.mark.parametrize("name", ["wav", "wav of 24 bits", "flac", "aiff", "opus"])
def test_files_after_each_other_are_one_speech(name: str) -> None:
    data = FILES[name][1]
    speech = speech_of((data[:1000], data[1000:], data), None)
    assert speech is not None
    assert len(speech.samples) == 2 * len(TONE)


def test_a_wav_file_is_continued_by_samples_of_its_own_format() -> None:
    data = FILES["wav of 24 bits"][1]
    sound = data[data.index(b"data") + 8 :]
    speech = speech_of((data, sound[:100], sound[100:]), None)
    assert speech is not None
    assert np.abs(speech.samples - np.concatenate([TONE, TONE])).max() < 1e-4


def test_quiet_samples_are_not_taken_for_floats() -> None:
    for loudness in (0.0, 1e-4, 0.01, 1.0):
        samples = (TONE * loudness * 32767).astype("<i2")
        speech = speech_of((samples.tobytes(),), RATE)
        assert speech is not None
        assert len(speech.samples) == len(TONE)


def test_base64_that_is_cut_off_may_come_whole_next_time() -> None:
    with pytest.raises(AnswerError, match="cut off"):
        decode_base64([encoded(WAVE)[:-1]])
    with pytest.raises(GenerationError, match="no base64"):
        decode_base64(["(no sound)"])
