"""Requests to servers: tried again where that can help, within bounds, and errors that say what to look at."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace

import pytest
from support.tool_servers import KEY, SLOW_S, Fault, ToolServer
from support.waiting import PATIENCE_S

from avemo_harness.build.pipeline.tool_server import BOUNDS, Answer, AnswerError, Bounds, JsonRequest, Server
from avemo_harness.errors import BuildError, UsageError

REQUEST = JsonRequest("/audio/speech", {"model": "m", "input": "Hello.", "voice": "v", "response_format": "pcm"})
QUICK = replace(BOUNDS, attempts=3, silence_s=PATIENCE_S)
IMPATIENT = replace(QUICK, attempts=50, silence_s=SLOW_S / 2)


def body(answer: Answer) -> bytes:
    return answer.body


def ask(server: Server) -> bytes:
    return server.ask("single-0001", REQUEST, body)


@pytest.mark.parametrize("fault", ["429", "500", "html 502", "no answer", "cut", "cut stream"])
def test_what_may_pass_is_tried_again(server: ToolServer, fault: Fault) -> None:
    server.faults.extend([fault, fault])
    assert ask(Server(f"{server.url}/v1", bounds=QUICK)) == server.pcm()
    assert len(server.asked) == 3


def test_an_answer_is_not_waited_for_for_ever(server: ToolServer) -> None:
    server.faults.append("slow")
    assert ask(Server(f"{server.url}/v1", bounds=IMPATIENT)) == server.pcm()
    assert len(server.asked) >= 2
    server.faults.extend(["slow"] * 2)
    with pytest.raises(BuildError, match=r"no answer in time \(ReadTimeout\), in the last of 2 attempts$"):
        ask(Server(f"{server.url}/v1", bounds=replace(IMPATIENT, attempts=2)))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("429", "it answered 429 (Rate limit reached), in the last of 3 attempts"),
        ("500", "it answered 500 (CUDA out of memory), in the last of 3 attempts"),
        ("html 502", "it answered 502 (<h1>Bad gateway</h1> <p>nginx</p>), in the last of 3 attempts"),
        ("no answer", "the connection failed (Server disconnected without sending a response.), in the last of 3"),
        ("cut", "the connection failed (peer closed connection without sending complete message body"),
        ("cut stream", "the connection failed (peer closed connection without sending complete message body"),
    ],
)
def test_it_is_not_tried_for_ever(server: ToolServer, fault: Fault, said: str) -> None:
    server.faults.extend([fault] * 5)
    with pytest.raises(BuildError) as error:
        ask(Server(f"{server.url}/v1", bounds=QUICK))
    assert str(error.value).startswith(f"single-0001: {server.url}/v1/audio/speech: {said}")
    assert len(server.asked) == 3


def test_an_answer_that_is_nested_without_end_is_no_json() -> None:
    with pytest.raises(AnswerError, match=r"no JSON but '\[\[\["):
        Answer({}, b"[" * 100_000).json()


def test_a_refusal_is_final(server: ToolServer) -> None:
    server.faults.append("400")
    with pytest.raises(BuildError, match=r"/v1/audio/speech: it answered 400 \(Unknown voice see the manual\)$"):
        ask(Server(f"{server.url}/v1", bounds=QUICK))
    assert len(server.asked) == 1


def test_nobody_there_is_an_error_of_the_unit() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(BuildError, match=r"^single-0001: .*the connection failed \(.*refused.*in the last of 3"):
        ask(Server(url, bounds=QUICK))


def test_an_answer_may_not_be_larger_than_allowed(server: ToolServer) -> None:
    with pytest.raises(BuildError, match="it answered more than 5000 bytes"):
        ask(Server(f"{server.url}/v1", bounds=replace(QUICK, most_bytes=5000)))


def test_an_answer_may_not_take_longer_than_allowed(server: ToolServer) -> None:
    with pytest.raises(BuildError, match="it answered with an end later than 0 s"):
        ask(Server(f"{server.url}/v1", bounds=replace(QUICK, answer_s=0.0)))


def test_the_pauses_grow_and_are_bounded(server: ToolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("avemo_harness.build.pipeline.tool_server.sleep", pauses.append)
    server.retry_after = "3"
    server.faults.extend(["500", "500", "429", "500"])
    ask(Server(f"{server.url}/v1", bounds=Bounds(attempts=5, pause_s=1.0, longest_pause_s=5.0)))
    assert pauses == [1.0, 2.0, 3.0, 5.0], "the third one is what the server asked for"


def test_no_server_can_ask_for_a_longer_pause_than_allowed(server: ToolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("avemo_harness.build.pipeline.tool_server.sleep", pauses.append)
    server.retry_after = "86400"
    server.faults.append("429")
    ask(Server(f"{server.url}/v1"))
    assert pauses == [BOUNDS.longest_pause_s]


def test_the_key_is_sent_and_never_told(server: ToolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOL_KEY", KEY)
    server.faults.append("401")
    with pytest.raises(BuildError, match=r"it answered 401 \(Incorrect API key provided: \*\*\*\)"):
        ask(Server(f"{server.url}/v1", "TOOL_KEY", QUICK))
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_credentials_of_the_address_are_never_told(server: ToolServer) -> None:
    server.faults.append("400")
    address = server.url.replace("http://", "http://someone:hush@")
    with pytest.raises(BuildError) as error:
        ask(Server(f"{address}/v1?token=hush", bounds=QUICK))
    assert "hush" not in str(error.value)
    assert server.asked[0].path == "/v1/audio/speech?token=hush"


@pytest.mark.parametrize("value", [None, "", "two\nlines", "ключ"])
def test_a_key_that_is_none_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("TOOL_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TOOL_KEY", value)
    with pytest.raises(UsageError, match="api_key_env: the environment variable TOOL_KEY"):
        Server("http://127.0.0.1:1/v1", "TOOL_KEY")


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://host/v1", "http://", "http://a b:c", "http://a..b/v1", "http://xn--/"]
)
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(UsageError, match="base_url: "):
        Server(url)


def test_without_httpx_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(UsageError, match=r"pip install 'avemo-harness\[api\]'"):
        Server("http://127.0.0.1:1/v1")
