"""Whatever shape a server's answer has, its text, speech and counts are found, or it is an error."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answering_server import answering, choice, completion, events_of
from support.questions import ask, ask_in_words, clip

from avemo_harness import media
from avemo_harness.errors import GenerationError
from avemo_harness.http_answers import AnswerError
from avemo_harness.models.served.answers import ChatCompletion, read_answer, read_events, speech_of, without_thoughts

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


WHOLE_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@WHOLE_AND_STREAMED
@pytest.mark.parametrize("reason", ["stop", "STOP", "tool_calls", "function_call", "end_turn", "eos_token"])
def test_an_answer_that_ended_by_itself_is_one(reason: str, stream: bool) -> None:
    with answering(completion(choice(reason, content="happy"))) as server:
        response = server.model(stream=stream).generate([ask_in_words("Well?")])[0]
    assert (response.text, response.flags, response.error, server.posts) == ("happy", (), None, 1)


@WHOLE_AND_STREAMED
@pytest.mark.parametrize("reason", ["length", "max_tokens", "model_length", "model_context_window_exceeded"])
def test_an_answer_at_a_limit_is_one_that_is_truncated(reason: str, stream: bool) -> None:
    with answering(completion(choice(reason, content="I hear that you"))) as server:
        response = server.model(stream=stream).generate([ask_in_words("Well?")])[0]
    assert (response.text, response.flags, server.posts) == ("I hear that you", ("truncated",), 1)


LOST = {"code": 502, "message": "upstream lost"}
GIVEN_UP: list[tuple[dict[str, Any], str]] = [
    (choice("abort", content="I hear"), "finish_reason 'abort'"),
    (choice("error", content="I hear"), "finish_reason 'error'"),
    (choice("network_error", content="I hear"), "finish_reason 'network_error'"),
    (choice("insufficient_system_resource", content=""), "finish_reason 'insufficient_system_resource'"),
    (choice("sensitive", content="I hear"), "finish_reason 'sensitive'"),
    (choice("whatever", content="I hear"), "finish_reason 'whatever'"),
    (choice(5, content="I hear"), "finish_reason '5'"),
    (choice({"type": "stop"}, content="I hear"), "finish_reason '{"),
    (choice("error", content="", more={"error": LOST}), "upstream lost"),
    (choice("stop", content="happy", more={"error": "upstream lost"}), "upstream lost"),
    (choice(None, content=None, more={"error": LOST}), "upstream lost"),
    (choice("stop", content="happy", error=LOST), "upstream lost"),
]


@WHOLE_AND_STREAMED
def test_what_the_server_gave_up_is_asked_for_again_and_then_an_error(stream: bool) -> None:
    def answer(payload: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, completion(GIVEN_UP[int(payload["messages"][0]["content"])][0])

    with answering(answer) as server:
        asked = [ask_in_words(str(number)) for number in range(len(GIVEN_UP))]
        responses = server.model(stream=stream).generate(asked)
    for response, (_, why) in zip(responses, GIVEN_UP, strict=True):
        assert response.text is None
        assert response.error is not None
        assert f"not answered in 2 attempts; the last one: the server gave up on the answer: {why}" in response.error
    assert server.posts == 2 * len(GIVEN_UP)


@WHOLE_AND_STREAMED
def test_a_second_attempt_may_be_answered(stream: bool) -> None:
    reasons = iter(["abort", "stop"])
    with answering(lambda _: (200, completion(choice(next(reasons), content="sad")))) as server:
        response = server.model(stream=stream).generate([ask_in_words("Well?")])[0]
    assert (response.text, response.error, server.posts) == ("sad", None, 2)


@WHOLE_AND_STREAMED
def test_one_choice_that_was_given_up_spoils_the_answer(stream: bool) -> None:
    body = completion(choice("stop", content="Hello."), choice("abort", index=1, content=None, audio={"data": "AAAA"}))
    with answering(body) as server:
        response = server.model(stream=stream).generate([ask_in_words("Well?")])[0]
    assert response.error is not None
    assert "'abort'" in response.error


@WHOLE_AND_STREAMED
@pytest.mark.parametrize(
    "refused", [choice("content_filter", content="I"), choice(content=None, refusal="I will not.")]
)
def test_moderation_is_the_error_of_its_item_alone_and_not_asked_again(refused: dict[str, Any], stream: bool) -> None:
    def answer(payload: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, completion(refused if "bad" in str(payload["messages"]) else choice(content="sad"))

    with answering(answer) as server:
        good, bad = server.model(stream=stream).generate([ask_in_words("Well?"), ask_in_words("A bad word?")])
    assert good.text == "sad"
    assert bad.error is not None
    assert bad.error.startswith("GenerationError: the server refused to answer")
    assert server.posts == 2


@WHOLE_AND_STREAMED
@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (None, (None, None)),
        ({"prompt_tokens": None, "completion_tokens": 4}, (None, 4)),
        ({"prompt_tokens": True, "completion_tokens": -1}, (None, None)),
        ({"prompt_tokens": "9", "completion_tokens": 4.5}, (None, None)),
    ],
)
def test_counts_that_are_none_are_left_out(usage: Any, counts: tuple[int | None, int | None], stream: bool) -> None:
    with answering(completion(choice(content="happy"), usage=usage)) as server:
        response = server.model(stream=stream).generate([ask_in_words("Well?")])[0]
    assert (response.text, response.prompt_tokens, response.new_tokens) == ("happy", *counts)


@WHOLE_AND_STREAMED
def test_of_several_answers_the_first_is_taken(stream: bool) -> None:
    with answering(completion(choice(index=1, content="sad"), choice(index=0, content="happy"))) as server:
        assert server.model(stream=stream).generate([ask_in_words("Well?")])[0].text == "happy"


@WHOLE_AND_STREAMED
@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "reasoning_content": "First I look at the face and then I"},
        {"content": None, "reasoning": "First I look"},
        {"content": None},
        {"content": "", "reasoning_content": "First I look"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "First I look"}]}]},
        {"reasoning_content": "First I look"},
    ],
    ids=["vLLM", "OpenRouter", "hidden", "empty", "Mistral", "no content"],
)
def test_a_limit_that_thoughts_used_up_is_an_answer_without_text(message: dict[str, Any], stream: bool) -> None:
    with answering(completion(choice("length", **message))) as server:
        response = server.model(stream=stream, attempts=6).generate([ask_in_words("Well?")])[0]
    assert (response.text, response.flags, response.error) == ("", ("truncated", "empty_text"), None)
    assert server.posts == 1


@WHOLE_AND_STREAMED
@pytest.mark.parametrize("more", [{"reasoning_content": "She is sad."}, {"tool_calls": [{"id": "a"}]}])
def test_thoughts_or_calls_without_an_answer_are_not_asked_for_again(more: dict[str, Any], stream: bool) -> None:
    with answering(completion(choice("stop", content=None, **more))) as server:
        response = server.model(stream=stream).generate([ask_in_words("Well?")])[0]
    assert (response.text, response.flags, server.posts) == ("", ("empty_text",), 1)


@WHOLE_AND_STREAMED
def test_thoughts_beside_an_answer_are_left_out(stream: bool) -> None:
    with answering(completion(choice(content="happy", reasoning_content="Is she angry?"))) as server:
        assert server.model(stream=stream).generate([ask_in_words("Well?")])[0].text == "happy"


@WHOLE_AND_STREAMED
@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("<think>She might be angry.</think>\n\nhappy", ()),
        ("She might be angry.</think> happy", ()),
        ("<think>She might be ang", ("empty_text",)),
        ("<think>She is angry.</think>", ("empty_text",)),
    ],
)
def test_thoughts_in_the_text_are_no_answer(text: str, flags: tuple[str, ...], stream: bool) -> None:
    with answering(completion(choice(content=text))) as server:
        response = server.model(stream=stream).generate([ask_in_words("Well?")])[0]
    assert response.flags == flags
    assert response.text == text


@WHOLE_AND_STREAMED
def test_a_reply_enters_its_dialogue_without_thoughts(stream: bool) -> None:
    body = completion(choice(content="<think>Be kind.</think>\nThat sounds hard."))
    with answering(body) as server:
        response = server.model(stream=stream, speech=True).generate([ask(clip(1.0), output="reply")])[0]
    assert (response.text, response.flags) == ("That sounds hard.", ("no_speech",))


def test_the_text_after_the_last_thought_is_what_is_said() -> None:
    assert without_thoughts("<think>a</think>b<think>c</think> d") == "d"
    assert without_thoughts("<THINKING>a</THINKING>\nd") == "d"
    assert without_thoughts("I think so.") == "I think so."
