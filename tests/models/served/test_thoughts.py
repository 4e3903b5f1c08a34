"""Models that think before they answer: thoughts are no answer, and a limit that they used up is told once."""

from __future__ import annotations

from typing import Any

import pytest
from support.answering_server import answering, choice, completion
from support.questions import ask, ask_in_words, clip

from avemo_harness.models.served.answers import without_thoughts

WHOLE_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


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
