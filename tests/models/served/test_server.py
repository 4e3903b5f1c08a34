"""Getting to know a server: while it is starting, and whether it makes use of what it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support.questions import ask_in_words
from support.reply_server import MODEL, Asked, Reply, ReplyServer, as_json, completion, models_page, replying
from support.waiting import pass_over

from avemo_harness.errors import ModelError
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.served.openai import OpenAi

Serve = Callable[..., ReplyServer]
Perception = Callable[[int, int, str], tuple[str | None, int | None]]
"""From how many pictures and sounds there are, and the question, to an answer and a count of tokens."""


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avemo_harness.http.sleep", pass_over)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that run until the test ends."""
    with ExitStack() as stack:
        yield lambda *given: stack.enter_context(replying(*given))


def model_of(server: ReplyServer, **arguments: Any) -> OpenAi:
    given = {"base_url": server.url, "model": MODEL, "choices": False, **arguments}
    return OpenAi(OpenAi.Arguments(**given), ModelSetup())


def perceiving(perceive: Perception) -> Callable[[Asked], Reply]:
    """A server that answers and counts as told."""

    def reply(asked: Asked) -> Reply:
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

    def starting(asked: Asked) -> Reply:
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

    def reply(asked: Asked) -> Reply:
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
    def moderating(asked: Asked) -> Reply:
        flagged = "number 3" in str(asked.payload["messages"])
        return as_json({"error": {"message": "Your input was flagged"}}, 403) if flagged else as_json(completion())

    model = model_of(serve(moderating), probe=False)
    answers = model.generate([ask_in_words(f"Question number {number}?") for number in range(6)])
    assert [one.error for one in answers] == [
        "GenerationError: the server answered 403: Your input was flagged" if number == 3 else None
        for number in range(6)
    ]
