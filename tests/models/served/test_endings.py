"""Only an answer that ended by itself or at a limit of tokens is one; what a server gave up is asked for again."""

from __future__ import annotations

from typing import Any

import pytest
from support.answering_server import answering, choice, completion
from support.questions import ask_in_words

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
