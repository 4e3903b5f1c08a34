"""Requests to servers: tried again where that can help, within bounds, and errors that say what to look at."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace

import pytest
from support.tool_servers import KEY, SLOW_S, Fault, ToolServer
from support.waiting import PATIENCE_S

from avemo_harness.data.pipeline.servers import BOUNDS, Answer, Server, json_body
from avemo_harness.errors import BuildError, UsageError

BODY = json_body({"model": "m", "input": "Hello.", "voice": "v", "response_format": "pcm"})
QUICK = replace(BOUNDS, attempts=3, silence_s=PATIENCE_S)
IMPATIENT = replace(QUICK, attempts=50, silence_s=SLOW_S / 2)


def body(answer: Answer) -> bytes:
    return answer.body


def ask(server: Server) -> bytes:
    return server.ask("single-0001", "/audio/speech", BODY, body)


def test_an_answer_is_not_waited_for_for_ever(server: ToolServer) -> None:
    server.faults.append("slow")
    assert ask(Server(f"{server.url}/v1", bounds=IMPATIENT)) == server.pcm()
    assert len(server.asked) >= 2
    server.faults.extend(["slow"] * 2)
    with pytest.raises(BuildError, match=r"in 2 attempts; the last one: no answer in time \(ReadTimeout\)$"):
        ask(Server(f"{server.url}/v1", bounds=replace(IMPATIENT, attempts=2)))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("500", "the server answered 500: CUDA out of memory"),
        ("html 502", "the server answered 502: Bad gateway nginx"),
        ("no answer", "the connection failed (Server disconnected without sending a response.)"),
        ("cut", "the connection failed (peer closed connection without sending complete message body"),
    ],
)
def test_it_is_not_tried_for_ever(server: ToolServer, fault: Fault, said: str) -> None:
    server.faults.extend([fault] * 5)
    with pytest.raises(BuildError) as error:
        ask(Server(f"{server.url}/v1", bounds=QUICK))
    prefix = f"single-0001: {server.url}/v1/audio/speech: not answered in 3 attempts; the last one: "
    assert str(error.value).startswith(prefix + said)
    assert len(server.asked) == 3


def test_a_refusal_is_final(server: ToolServer) -> None:
    server.faults.append("400")
    with pytest.raises(BuildError, match=r"/v1/audio/speech: the server answered 400: Unknown voice see the manual$"):
        ask(Server(f"{server.url}/v1", bounds=QUICK))
    assert len(server.asked) == 1


def test_nobody_there_ends_the_build() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(UsageError, match=r"^single-0001: .*no server has answered .*is the server up\?"):
        ask(Server(url, bounds=replace(QUICK, unreachable_s=0.0)))


def test_an_answer_may_not_be_larger_than_allowed(server: ToolServer) -> None:
    with pytest.raises(BuildError, match="an answer of more than 5000 bytes"):
        ask(Server(f"{server.url}/v1", bounds=replace(QUICK, max_bytes=5000)))


def test_the_key_is_sent_and_never_told(server: ToolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOL_KEY", KEY)
    server.faults.append("401")
    with pytest.raises(UsageError, match=r"the server answered 401: Incorrect API key provided: \*\*\*;"):
        ask(Server(f"{server.url}/v1", "TOOL_KEY", QUICK))
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_credentials_of_the_address_are_never_told(server: ToolServer) -> None:
    server.faults.append("400")
    address = server.url.replace("http://", "http://someone:hush@")
    with pytest.raises(BuildError) as error:
        ask(Server(f"{address}/v1?token=hush", bounds=QUICK))
    assert "hush" not in str(error.value)
    assert server.asked[0].path == "/v1/audio/speech?token=hush"


def test_a_key_that_is_not_set_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOOL_KEY", raising=False)
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
