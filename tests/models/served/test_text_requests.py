"""Requests that want no speech ask for text alone, unless the server refuses to be asked so."""

from __future__ import annotations

from typing import Any

import pytest
from support.answering_server import answering, choice, completion
from support.questions import ask_in_words

HAPPY = completion(choice(content="happy"))


def refusing(field: str, status: int, detail: Any) -> Any:
    def answer(payload: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return (status, {"detail": detail}) if field in payload else (200, HAPPY)

    return answer


@pytest.mark.parametrize("speech", [False, True])
@pytest.mark.parametrize("output", ["label", "rank"])
def test_labels_are_asked_for_in_text_alone(output: str, speech: bool) -> None:
    with answering(HAPPY) as server:
        server.model(speech=speech).generate([ask_in_words("Well?", output=output)])
    assert [payload["modalities"] for payload in server.payloads] == [["text"]]


def test_replies_are_asked_for_in_speech() -> None:
    with answering(HAPPY) as server:
        server.model(speech=True).generate([ask_in_words("Well?", output="reply")])
    assert server.payloads[0]["modalities"] == ["text", "audio"]


def test_so_are_the_requests_that_find_out_what_a_server_can_do() -> None:
    with answering(HAPPY) as server:
        server.model(choices=True).generate([ask_in_words("Well?")])
    assert [payload["modalities"] for payload in server.payloads] == [["text"], ["text"]]


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (422, [{"type": "extra_forbidden", "loc": ["body", "modalities"], "msg": "Extra inputs are not permitted"}]),
        (400, "Unrecognized request argument supplied: modalities"),
        (400, "bad request"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_refuses_the_field_is_asked_without_it_from_then_on(
    status: int, detail: Any, stream: bool
) -> None:
    with answering(refusing("modalities", status, detail)) as server:
        model = server.model(stream=stream)
        responses = [model.generate([ask_in_words(f"Question {number}?")])[0] for number in range(3)]
    assert [response.text for response in responses] == ["happy"] * 3
    assert ["modalities" in payload for payload in server.payloads] == [True, False, False, False]


def test_a_request_that_is_refused_for_another_reason_is_the_error_of_its_item() -> None:
    def answer(payload: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        too_long = "long" in str(payload["messages"])
        return (400, {"error": {"message": "maximum context length exceeded"}}) if too_long else (200, HAPPY)

    with answering(answer) as server:
        model = server.model()
        for _ in range(2):
            long, short = (model.generate([ask_in_words(words)])[0] for words in ("A long one?", "Well?"))
            assert long.error == "GenerationError: the server answered 400: maximum context length exceeded"
            assert short.text == "happy"
    # The fields were refused by none of them; once an answer proved them, they are not left out again.
    doubted = [{"modalities", "seed"} - set(payload) for payload in server.payloads]
    assert doubted == [set(), {"modalities"}, {"seed"}, {"modalities", "seed"}, set(), set(), set()]
