"""Whatever shape a server's answer has, its text, speech and counts are found, or it is an error."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answering_server import choice, completion, events_of

from avemo_harness import media
from avemo_harness.errors import GenerationError
from avemo_harness.http_answers import AnswerError
from avemo_harness.models.served.answers import ChatCompletion, read_answer, read_events, speech_of

TONE = (np.sin(np.arange(480) / 9) * 0.3).astype(np.float32)
WAVE = media.write_wave(TONE, 24_000)
BARE = WAVE[44:]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def delta(reason: str | None = None, modality: str | None = None, **content: Any) -> dict[str, Any]:
    more = {} if modality is None else {"modality": modality}
    return {"choices": [{"index": 0, "delta": content, "finish_reason": reason}], **more}


def test_a_text_and_its_counts() -> None:
    told = read_answer(completion(choice(content="happy")))
    assert (told.text, told.sound, told.ended, told.prompt_tokens, told.new_tokens) == ("happy", (), True, 9, 4)


def test_a_text_at_the_limit_has_not_ended() -> None:
    assert read_answer(completion(choice("length", content="I am"))).ended is False
    assert read_answer(completion(choice(None, content="I am"))).ended is None


def test_a_text_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "ha"}, {"type": "text", "text": "ppy"}]
    assert read_answer(completion(choice(content=parts))).text == "happy"


AUDIO = {"data": encoded(WAVE), "transcript": ""}


@pytest.mark.parametrize(
    "choices",
    [
        [choice(content="Hello.", audio=AUDIO)],
        [choice(content="Hello."), choice(content=None, audio=AUDIO)],
        [choice(content=None, audio=AUDIO), choice(content="Hello.")],
        [choice(content="", audio=AUDIO), choice(content="Hello.")],
        [choice(content=None, audio={**AUDIO, "transcript": "Hello."})],
    ],
)
def test_speech_is_found_in_whichever_choice_it_is(choices: list[dict[str, Any]]) -> None:
    told = read_answer(completion(*choices))
    assert told.text == "Hello."
    assert told.sound == (WAVE,)


def test_an_empty_text_is_an_answer_and_nothing_at_all_is_none() -> None:
    assert read_answer(completion(choice(content=""))).text == ""
    with pytest.raises(AnswerError, match="neither text nor speech"):
        read_answer(completion(choice(content=None)))


@pytest.mark.parametrize("body", [None, [], "text", {}, {"choices": None}, {"choices": ["x"]}])
def test_what_is_no_completion_is_an_error(body: Any) -> None:
    with pytest.raises(AnswerError, match="no chat completion"):
        read_answer(body)


@pytest.mark.parametrize("refused", [choice(content=None, refusal="I cannot."), choice("content_filter", content="I")])
def test_a_refusal_is_no_answer(refused: dict[str, Any]) -> None:
    with pytest.raises(GenerationError, match="refused to answer"):
        read_answer(completion(refused))


def test_a_stream_is_put_together() -> None:
    pieces = [delta(audio={"data": encoded(BARE[start : start + 101])}) for start in range(0, len(BARE), 101)]
    events = [
        delta(content="Hel"),
        delta(content="lo."),
        *pieces,
        delta("stop"),
        {"choices": [], "usage": {"prompt_tokens": 7}},
    ]
    told = read_events(events)
    assert (told.text, told.ended, told.prompt_tokens) == ("Hello.", True, 7)
    speech = speech_of(told.sound, 24_000)
    assert speech is not None
    assert np.abs(speech.samples - TONE).max() < 1e-4


def test_base64_that_is_cut_anywhere_is_put_together() -> None:
    whole = encoded(BARE)
    pieces = [delta(audio={"data": whole[start : start + 7]}) for start in range(0, len(whole), 7)]
    assert b"".join(read_events([delta(content="Hi"), *pieces, delta("stop")]).sound) == BARE


def test_speech_in_the_content_of_a_stream_is_known_by_its_modality() -> None:
    told = read_events([delta(content="Hello."), delta("stop", "audio", content=encoded(WAVE))])
    assert (told.text, told.sound) == ("Hello.", (WAVE,))


def test_transcripts_stand_for_a_text() -> None:
    told = read_events(
        [delta(audio={"transcript": "Hel"}), delta("stop", audio={"transcript": "lo.", "data": encoded(BARE)})]
    )
    assert told.text == "Hello."


def test_a_stream_without_its_end_is_cut_off() -> None:
    with pytest.raises(AnswerError, match="cut off"):
        read_events([delta(content="Hel")])


@pytest.mark.parametrize(
    ("sound", "expected"),
    [
        ((WAVE,), TONE),
        ((BARE,), TONE),
        ((WAVE, WAVE), np.concatenate([TONE, TONE])),
        ((WAVE, BARE), np.concatenate([TONE, TONE])),
        ((BARE[:101], BARE[101:]), TONE),
    ],
)
def test_speech_in_pieces_is_joined(sound: tuple[bytes, ...], expected: np.ndarray) -> None:
    speech = speech_of(sound, 24_000)
    assert speech is not None
    assert speech.rate_hz == 24_000
    assert np.abs(speech.samples - expected).max() < 1e-4


def test_the_rate_of_bare_samples_is_the_one_that_was_declared() -> None:
    speech = speech_of((BARE,), 22_050)
    assert speech is not None
    assert speech.rate_hz == 22_050


@pytest.mark.parametrize("sound", [(WAVE[:-3],), (BARE[:-1],), (WAVE, media.write_wave(TONE, 8_000))])
def test_speech_that_is_cut_off_or_mixed_up_is_an_error(sound: tuple[bytes, ...]) -> None:
    with pytest.raises(AnswerError, match="speech"):
        speech_of(sound, 24_000)


def test_no_speech_is_none() -> None:
    assert speech_of((), 24_000) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "delta", "content", "audio", "data", "usage", "logprobs"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_answer_breaks_the_reader(body: Any) -> None:
    for read in (read_answer, lambda one: read_events([one])):
        try:
            told = read(body)
        except (AnswerError, GenerationError):
            continue
        assert told.text is not None or told.sound


TEXTS = st.sampled_from(["", "Hi.", "I hear that you are sad.", "<think>a</think>b"])
CHOICES = st.builds(
    choice,
    st.sampled_from(["stop", "tool_calls", "length", "max_tokens", "abort", "content_filter", 7]),
    index=st.integers(0, 2),
    more=st.sampled_from(
        [{}, {}, {"error": "lost"}, {"logprobs": None}, {"logprobs": {"tokens": ["a"], "token_logprobs": [-1]}}]
    ),
    content=st.none() | TEXTS | TEXTS.map(lambda text: [{"type": "text", "text": text}, {"type": "thinking"}]),
    reasoning_content=st.none() | TEXTS,
    audio=st.none() | st.fixed_dictionaries({"data": st.binary(max_size=40).map(encoded), "transcript": TEXTS}),
)


@given(st.lists(CHOICES, min_size=1, max_size=3, unique_by=lambda one: one["index"]))
def test_an_answer_in_a_stream_is_the_same_as_the_whole_one(choices: list[dict[str, Any]]) -> None:
    body = completion(*choices)

    def outcome(read: Callable[[Any], ChatCompletion], given: Any) -> object:
        try:
            told = read(given)
        except (AnswerError, GenerationError) as error:
            return type(error), str(error)
        return told.text, b"".join(told.sound), told.ended, told.prompt_tokens, told.new_tokens, told.alternatives

    assert outcome(read_answer, body) == outcome(read_events, events_of(body))
