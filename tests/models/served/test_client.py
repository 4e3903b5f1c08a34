"""Chat completions: shapes of streams and errors, fields that a server does not know, what ends an item or a run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support.questions import ask_in_words
from support.reply_server import (
    MODEL,
    ReceivedRequest,
    Reply,
    ReplyServer,
    as_json,
    completion,
    delta,
    events,
    models_page,
    replying,
)
from support.waiting import pass_over

from avemo_harness.errors import GenerationError, ModelError
from avemo_harness.http import Bounds
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.served.client import Client
from avemo_harness.models.served.openai import OpenAi

Serve = Callable[..., ReplyServer]
PAYLOAD = {"model": "tiny-omni", "messages": [{"role": "user", "content": "Well?"}], "seed": 3, "modalities": ["text"]}
STREAMED = {**PAYLOAD, "stream": True, "stream_options": {"include_usage": True}}
SPOKEN = {**PAYLOAD, "modalities": ["text", "audio"]}


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avemo_harness.http.sleep", pass_over)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that run until the test ends."""
    with ExitStack() as stack:
        yield lambda *given: stack.enter_context(replying(*given))


def client_of(server: ReplyServer, say: Callable[[str], object] = lambda sentence: None) -> Client:
    return Client([server.url], None, Bounds(attempts=2), say)


def ask(server: ReplyServer, payload: dict[str, Any] = PAYLOAD) -> str | None:
    return asyncio.run(client_of(server).complete(payload, lambda told: told.text))


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_a_text_with_separators_arrives_whole_at_the_first_attempt(serve: Serve, separator: str) -> None:
    text = f"happy{separator}or so"
    streaming = serve(lambda asked: events(delta(text), delta(reason="stop")))
    assert ask(streaming, STREAMED) == text
    whole = serve(lambda asked: as_json(completion(text)))
    assert ask(whole) == text
    assert len(streaming.asked) == len(whole.asked) == 1


@pytest.mark.parametrize(
    "kept_alive",
    [{"type": "ping"}, {"choices": None}, {"choices": None, "usage": {"prompt_tokens": 9}}, {"id": "x"}],
)
def test_events_that_are_no_part_of_the_answer_are_passed_over(serve: Serve, kept_alive: dict[str, Any]) -> None:
    server = serve(
        lambda asked: events(kept_alive, delta("hap"), kept_alive, delta("py"), delta(reason="stop"), kept_alive)
    )
    assert ask(server, STREAMED) == "happy"
    assert len(server.asked) == 1


def test_a_whole_answer_to_a_request_for_a_stream_is_taken(serve: Serve) -> None:
    assert ask(serve(lambda asked: as_json(completion())), STREAMED) == "happy"


def test_a_stream_in_place_of_a_whole_answer_is_taken(serve: Serve) -> None:
    assert ask(serve(lambda asked: events(delta("happy"), delta(reason="stop")))) == "happy"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (as_json({"object": "error", "message": "too long a context", "code": 400}), "400: too long a context"),
        (as_json({"error": {"message": "engine dead", "code": 500}}), "in 2 attempts.*500: engine dead"),
        (as_json({"error": {"code": 403, "message": "Your input was flagged"}}, 403), "403: Your input was flagged$"),
        (as_json({"error": {"code": "content_filter", "message": "The prompt was filtered"}}, 400), "was filtered$"),
        (
            Reply(413, b"<html><title>413 Request Entity Too Large</title><h1>413</h1><hr>nginx</html>"),
            r"413: 413 Request Entity Too Large; a shorter history or smaller clips",
        ),
    ],
    ids=["object error", "error", "moderation", "filter", "too large"],
)
@pytest.mark.parametrize("payload", [PAYLOAD, STREAMED], ids=["whole", "stream"])
def test_what_goes_wrong_with_one_request_is_its_own_error(
    serve: Serve, reply: Reply, told: str, payload: dict[str, Any]
) -> None:
    with pytest.raises(GenerationError, match=told):
        ask(serve(lambda asked: reply), payload)


def test_a_page_in_place_of_an_answer_is_told_by_its_text(serve: Serve) -> None:
    with pytest.raises(GenerationError, match="no JSON but 'Please log in'"):
        ask(serve(lambda asked: Reply(200, b"<html><body>Please <b>log in</b></body></html>")))


def test_an_error_in_a_stream_is_one(serve: Serve) -> None:
    with pytest.raises(GenerationError, match=r"in 2 attempts.*500: overloaded"):
        ask(serve(lambda asked: events({"message": "overloaded"}, name="error")), STREAMED)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, {"type": "insufficient_quota", "code": "insufficient_quota", "message": "check your plan"}),
        (429, {"type": "exceeded_current_quota_error", "message": "check your plan"}),
        (403, {"code": "insufficient_user_quota", "message": "check your plan"}),
        (402, {"message": "check your plan"}),
        (200, {"code": "insufficient_quota", "message": "check your plan"}),
    ],
)
def test_a_quota_that_is_used_up_ends_the_run_at_once(serve: Serve, status: int, error: dict[str, str]) -> None:
    server = serve(lambda asked: as_json({"error": error}, status))
    with pytest.raises(ModelError, match=r"check your plan; the account has no quota left: top it up, then"):
        ask(server)
    assert len(server.asked) == 1


def test_too_many_requests_are_no_used_up_quota(serve: Serve) -> None:
    left = [as_json({"error": {"type": "requests", "code": "rate_limit_exceeded", "message": "slow down"}}, 429)]
    assert ask(serve(lambda asked: left.pop() if left else as_json(completion()))) == "happy"


def unknown_in_details(name: str) -> Reply:
    return as_json(
        {"detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs", "input": 3}]}, 422
    )


def unknown_in_message(name: str) -> Reply:
    return as_json({"error": {"message": f"Unknown parameter: '{name}'.", "param": name}}, 400)


def unknown_in_object(name: str) -> Reply:
    detail = [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}]
    return as_json({"object": "error", "message": {"detail": detail}}, 422)


@pytest.mark.parametrize("refuse", [unknown_in_details, unknown_in_message, unknown_in_object])
def test_fields_that_a_server_does_not_know_are_left_out_from_then_on(
    serve: Serve, refuse: Callable[[str], Reply]
) -> None:
    def strict(asked: ReceivedRequest) -> Reply:
        unknown = [name for name in ("seed", "modalities") if name in asked.payload]
        return refuse(unknown[0]) if unknown else as_json(completion())

    said: list[str] = []
    server = serve(strict)
    client = client_of(server, said.append)

    async def ask_twice() -> list[str | None]:
        return [await client.complete(PAYLOAD, lambda told: told.text) for _ in range(2)]

    assert asyncio.run(ask_twice()) == ["happy", "happy"]
    assert [sorted(sent) for sent in server.posted[2:]] == [["messages", "model"]] * 2
    assert said == [f"the server does not know {name}: asking without" for name in ("seed", "modalities")]


def test_speech_is_asked_for_though_the_field_is_refused_of_questions(serve: Serve) -> None:
    def refuse_text_alone(asked: ReceivedRequest) -> Reply:
        refused = asked.payload.get("modalities") == ["text"]
        return unknown_in_details("modalities") if refused else as_json(completion())

    server = serve(refuse_text_alone)
    client = client_of(server)

    async def ask_both() -> None:
        for payload in (PAYLOAD, SPOKEN):
            await client.complete(payload, lambda told: told.text)

    asyncio.run(ask_both())
    assert [sent.get("modalities") for sent in server.posted] == [["text"], None, ["text", "audio"]]


LITELLM = "litellm.BadRequestError: OpenAIException - {told}\n\nLiteLLM: model group 'tiny-omni' failed."
"""A gateway's message around what the server behind it told, which it may not know itself."""


@pytest.mark.parametrize("unknown", [{"modalities"}, {"seed"}, {"modalities", "seed"}], ids=["one", "other", "both"])
@pytest.mark.parametrize("told", ["Error code: 422", '{"error": {"message": "bad request"}}'])
def test_fields_that_a_gateway_refuses_without_their_names_are_found(
    serve: Serve, told: str, unknown: set[str]
) -> None:
    refused = as_json({"error": {"message": LITELLM.format(told=told), "code": "422"}}, 422)
    server = serve(lambda asked: refused if unknown & set(asked.payload) else as_json(completion()))
    client = client_of(server)

    async def ask_twice() -> list[str | None]:
        return [await client.complete(PAYLOAD, lambda told: told.text) for _ in range(2)]

    assert asyncio.run(ask_twice()) == ["happy", "happy"]
    assert [set(PAYLOAD) - set(sent) for sent in server.posted[-2:]] == [unknown] * 2


def test_fields_that_were_taken_once_are_not_doubted_when_a_request_is_refused(serve: Serve) -> None:
    refused = as_json({"error": {"message": LITELLM.format(told="Error code: 400"), "code": "400"}}, 400)
    server = serve(lambda asked: as_json(completion()) if len(server.asked) == 1 else refused)
    client = client_of(server)

    async def ask_twice() -> None:
        await client.complete(PAYLOAD, lambda told: told.text)
        await client.complete(PAYLOAD, lambda told: told.text)

    with pytest.raises(GenerationError, match="Error code: 400"):
        asyncio.run(ask_twice())
    assert server.posted == [PAYLOAD, PAYLOAD]


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (SPOKEN, unknown_in_details("modalities")),
        (PAYLOAD, unknown_in_details("messages")),
        (PAYLOAD, as_json({"detail": [{"type": "missing", "loc": ["body", "user"], "input": PAYLOAD}]}, 422)),
        (PAYLOAD, as_json({"error": {"message": "seed 3 is too small"}}, 400)),
        (PAYLOAD, as_json({"error": {"message": "Unknown parameter: 'seed'."}}, 403)),
    ],
    ids=["speech", "essential", "other complaint", "value", "status"],
)
def test_nothing_else_is_left_out(serve: Serve, payload: dict[str, Any], reply: Reply) -> None:
    server = serve(lambda asked: reply)
    with pytest.raises(GenerationError, match="the server answered 4"):
        ask(server, payload)
    assert server.posted == [payload]


Perception = Callable[[int, int, str], tuple[str | None, int | None]]
"""From how many pictures and sounds there are, and the question, to an answer and a count of tokens."""


def model_of(server: ReplyServer, **arguments: Any) -> OpenAi:
    given = {"base_url": server.url, "model": MODEL, "choices": False, **arguments}
    return OpenAi(OpenAi.Arguments(**given), ModelSetup())


def perceiving(perceive: Perception) -> Callable[[ReceivedRequest], Reply]:
    """A server that answers and counts as told."""

    def reply(asked: ReceivedRequest) -> Reply:
        if asked.method == "GET":
            return models_page(asked)
        content = asked.payload["messages"][-1]["content"]
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        kinds = Counter(part["type"] for part in parts)
        text, count = perceive(kinds["video_url"], kinds["input_audio"], parts[-1]["text"])
        return as_json(completion(text, **({} if count is None else {"prompt_tokens": count})))

    return reply


@pytest.mark.parametrize("path", ["/v1/models", "/version"])
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_is_starting_is_waited_for_and_stays_the_same(serve: Serve, path: str, status: int) -> None:
    left = [status, status]

    def starting(asked: ReceivedRequest) -> Reply:
        if asked.path == path and left:
            return as_json({"detail": "warming up"}, left.pop())
        return models_page(asked)

    warm, cold = (model_of(serve(reply), probe=False).identity() for reply in (models_page, starting))
    assert cold == warm
    assert cold["server"] == "vllm 0.33.0"
    assert not left


def test_a_server_that_is_never_ready_is_not_taken_for_one_that_tells_no_version(serve: Serve) -> None:
    server = serve(
        lambda asked: models_page(asked) if asked.path == "/v1/models" else as_json({"detail": "loading"}, 503)
    )
    with pytest.raises(ModelError, match=r"not answered in 3 attempts; the last one: the server answered 503: loading"):
        model_of(server, probe=False, attempts=3).identity()


def test_a_page_that_is_broken_for_good_counts_as_none(serve: Serve) -> None:
    server = serve(lambda asked: models_page(asked) if asked.path == "/v1/models" else as_json({}, 500))
    assert model_of(server, probe=False, attempts=2).identity()["server"] == "127.0.0.1 vllm"


def test_a_query_of_the_address_is_sent_and_not_told(serve: Serve) -> None:
    paths, said = list[str](), list[str]()

    def reply(asked: ReceivedRequest) -> Reply:
        paths.append(asked.path)
        return as_json({"data": [{"id": MODEL}]})

    url = f"{serve(reply).url}?api-version=1"
    model = OpenAi(OpenAi.Arguments(base_url=url, model="absent"), ModelSetup(say=said.append))
    with pytest.raises(ModelError, match="has no model 'absent'") as caught:
        model.identity()
    assert paths == ["/v1/models?api-version=1"]
    assert "api-version" not in " ".join([*said, str(caught.value)])


def test_a_key_that_is_refused_is_told_at_once(serve: Serve) -> None:
    server = serve(lambda asked: as_json({"detail": "not for you"}, 403))
    with pytest.raises(ModelError, match="the server answered 403: not for you"):
        model_of(server).identity()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "perceive",
    [
        lambda seen, heard, question: (f"{seen} {heard}", 5 + 90 * seen + 30 * heard),
        lambda seen, heard, question: (f"{seen} {heard}", 7),
        lambda seen, heard, question: (f"{seen} {heard}", None),
        lambda seen, heard, question: (
            f"{seen} {heard}" if "Is there" in question else "red",
            5 + 9 * seen + 3 * heard,
        ),
        lambda seen, heard, question: ("", 5 + 90 * seen + 30 * heard),
    ],
    ids=["counts and tells", "counts words only", "counts nothing", "tells when asked for it", "only thinks"],
)
def test_a_server_that_sees_and_hears_is_taken(serve: Serve, perceive: Perception) -> None:
    assert model_of(serve(perceiving(perceive))).identity()["senses"] == "probed"


@pytest.mark.parametrize(
    ("perceive", "sense"),
    [
        (lambda seen, heard, question: (f"{seen}", 5 + 90 * seen), "sound"),
        (lambda seen, heard, question: (f"{seen}", 5 + 90 * seen + 30 * heard), "sound"),
        (lambda seen, heard, question: (f"{heard}", 5 + 90 * seen + 30 * heard), "video"),
        (lambda seen, heard, question: (f"{seen}", 7), "sound"),
        (lambda seen, heard, question: (f"{seen}", None), "sound"),
        (lambda seen, heard, question: ("a red square", 5 + 90 * seen + 30 * heard), "video"),
    ],
    ids=["deaf", "counts sound", "counts video", "counts words only", "counts nothing", "says one thing"],
)
def test_a_server_that_is_blind_or_deaf_is_refused_whatever_it_counts(
    serve: Serve, perceive: Perception, sense: str
) -> None:
    with pytest.raises(ModelError, match=f"the server drops the {sense}"):
        model_of(serve(perceiving(perceive))).identity()


def test_answers_that_differ_by_chance_prove_nothing(serve: Serve) -> None:
    words = iter(f"word {number}" for number in range(1000))
    with pytest.raises(ModelError, match="the server drops the video"):
        model_of(serve(perceiving(lambda seen, heard, question: (next(words), 7)))).identity()


def test_one_refused_input_costs_its_item_alone(serve: Serve) -> None:
    def moderating(asked: ReceivedRequest) -> Reply:
        flagged = "number 3" in str(asked.payload["messages"])
        return as_json({"error": {"message": "Your input was flagged"}}, 403) if flagged else as_json(completion())

    model = model_of(serve(moderating), probe=False)
    answers = model.generate([ask_in_words(f"Question number {number}?") for number in range(6)])
    assert [one.error for one in answers] == [
        "GenerationError: the server answered 403: Your input was flagged" if number == 3 else None
        for number in range(6)
    ]
