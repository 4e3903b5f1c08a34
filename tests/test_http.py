"""The HTTP client: attempts and pauses, servers that go away and come back, and variables of the environment."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from support.reply_server import ReceivedRequest, Reply, ReplyServer, as_json, replying
from support.waiting import pass_over

from avemo_harness.errors import UsageError
from avemo_harness.http import Bounds, Client, read_key
from avemo_harness.http_answers import RequestError, parse_json, read_body

Serve = Callable[..., ReplyServer]
KEY = "sk-loopback-0123456789"
PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
QUICK = Bounds(attempts=3, backoff_s=0.01)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that run until the test ends."""
    with ExitStack() as stack:
        yield lambda *given, **more: stack.enter_context(replying(*given, **more))


def well(asked: ReceivedRequest) -> Reply:
    return as_json({"path": asked.path})


def failing(*statuses: int, **headers: str) -> Callable[[ReceivedRequest], Reply]:
    """Fails with each status in turn, and answers well thereafter."""
    left = list(statuses)
    return lambda asked: as_json({"detail": "busy"}, left.pop(0), **headers) if left else well(asked)


def free_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


async def read(response: httpx.Response) -> Any:
    return parse_json(await read_body(response, 2**20))


def post(client: Client, requests: int = 1) -> list[Any]:
    """Answers or errors of requests that are sent at once."""

    async def send() -> list[Any]:
        asked = [client.post("/ask", {"content": json.dumps(n).encode()}, read) for n in range(requests)]
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(send())


def answered(outcomes: list[Any]) -> int:
    return sum(outcome == {"path": "/v1/ask"} for outcome in outcomes)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(serve: Serve, status: int) -> None:
    server = serve(failing(status, status))
    assert answered(post(Client([server.url], bounds=QUICK))) == 1
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [202, 204, 301, 400, 401, 402, 403, 404, 405, 413, 422, 501])
def test_what_cannot_pass_is_not(serve: Serve, status: int) -> None:
    server = serve(failing(status))
    (error,) = post(Client([server.url], bounds=QUICK))
    assert isinstance(error, RequestError)
    assert error.scope == ("run" if status in (401, 402, 404, 405) else "request")
    assert len(server.asked) == 1


def test_a_redirect_is_told_and_not_followed(serve: Serve) -> None:
    server = serve(failing(307, Location="http://127.0.0.1:9/elsewhere"))
    (error,) = post(Client([server.url], bounds=QUICK))
    assert "it leads to http://127.0.0.1:9/elsewhere" in str(error)


@pytest.mark.parametrize("host", ["", "https://host"])
def test_a_redirect_is_told_as_a_base_url_without_its_query(serve: Serve, host: str) -> None:
    server = serve(failing(301, Location=f"{host}/v1/chat/completions?token=secret"))
    (error,) = post(Client([server.url], bounds=QUICK))
    assert f"it leads to {host}/v1, which base_url may name" in str(error)


def test_a_redirect_to_what_no_server_has_is_no_advice(serve: Serve) -> None:
    (error,) = post(Client([serve(failing(302, Location="file:///etc/passwd")).url], bounds=QUICK))
    assert "base_url" not in str(error)


def test_an_answer_may_be_called_created(serve: Serve) -> None:
    assert post(Client([serve(lambda asked: as_json("well", 201)).url], bounds=QUICK)) == ["well"]


def test_a_port_without_tls_is_told_at_once(serve: Serve) -> None:
    server = serve(failing())
    (error,) = post(Client([server.url.replace("http:", "https:")]))
    assert isinstance(error, RequestError)
    assert error.scope == "run"
    assert "base_url may have to begin with http://" in str(error)


def test_a_port_without_http_is_told(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def alert() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(2**16)
                connection.sendall(b"\x15\x03\x01\x00\x02\x02\x50")

        answering = threading.Thread(target=alert, daemon=True)
        answering.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        (error,) = post(Client([url], bounds=Bounds(attempts=1)))
        answering.join()
    assert "base_url may have to begin with https://" in str(error)


@pytest.mark.parametrize("port", [0, 65536, 99999])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(UsageError, match="no port of 1 to 65535"):
        Client([f"http://127.0.0.1:{port}/v1"])


def test_a_page_that_is_broken_is_not_waited_for_and_one_that_is_not_ready_is_said(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avemo_harness.http.sleep", pass_over)
    broken, said = serve(failing(*[500] * 12)), list[str]()
    with pytest.raises(RequestError, match="not answered in 3 attempts"):
        asyncio.run(Client([broken.url], bounds=QUICK).get(broken.url, "/version", ready_s=60.0))
    starting = serve(failing(*[503] * 12))
    asyncio.run(Client([starting.url], bounds=QUICK, say=said.append).get(starting.url, "/version", ready_s=60.0))
    assert said == [f"{starting.url}: the server answered 503: busy; waiting until it is ready"]


def test_pauses_grow_with_jitter_and_obey_the_server_within_bounds(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("avemo_harness.http.sleep", note)
    bounds = Bounds(attempts=6, backoff_s=1.0, max_backoff_s=5.0)
    post(Client([serve(failing(500, 500, 500, 500, 500)).url], bounds=bounds))
    shortest, longest = (0.5, 1, 2, 2.5, 2.5), (1.5, 3, 5, 5, 5)
    assert all(low <= pause <= high for pause, low, high in zip(pauses, shortest, longest, strict=True)), pauses
    pauses.clear()
    post(Client([serve(failing(500, **{"Retry-After": "3"})).url], bounds=bounds))
    post(Client([serve(failing(429, **{"Retry-After": "4"})).url], bounds=bounds))
    post(Client([serve(failing(503, **{"Retry-After": "86400"})).url], bounds=bounds))
    assert pauses == pytest.approx([3, 4, 5], abs=0.2)


def test_a_server_that_is_dead_is_left_to_the_others(serve: Serve) -> None:
    said: list[str] = []
    server = serve(well)
    dead = free_url()
    client = Client([dead, server.url], bounds=Bounds(attempts=1, unreachable_s=0.0), say=said.append)
    assert answered(post(client, 64)) == 64
    assert said[0].startswith(f"{dead}: the connection failed")
    assert len(said) == 1


def test_a_dead_server_is_not_asked_by_every_request(serve: Serve) -> None:
    server = serve(well)
    client = Client([free_url(), server.url], bounds=Bounds(backoff_s=3600.0, max_backoff_s=3600.0))
    assert answered(post(client, 20)) == 20
    assert client.servers[0].failures == 1


@pytest.mark.parametrize("requests", [1, 4, 16])
def test_a_server_that_comes_back_answers_every_request(requests: int) -> None:
    url = free_url()
    client = Client([url], bounds=Bounds(attempts=2, backoff_s=0.1, unreachable_s=60.0))
    stop = threading.Event()

    def come_back() -> None:
        time.sleep(0.5)
        with replying(well, port=httpx.URL(url).port or 0):
            stop.wait()

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        assert answered(post(client, requests)) == requests
    finally:
        stop.set()
        thread.join()


def test_gone_is_time_without_an_answer_and_never_before_the_attempts_are_used() -> None:
    begun = time.monotonic()
    outcomes = post(Client([free_url(), free_url()], bounds=Bounds(attempts=2, backoff_s=0.05, unreachable_s=0.6)), 32)
    assert {one.scope for one in outcomes} == {"run"}
    assert all("no server has answered for" in str(one) and "Start it again" in str(one) for one in outcomes)
    assert time.monotonic() - begun >= 0.6
    begun = time.monotonic()
    post(Client([free_url()], bounds=Bounds(attempts=4, backoff_s=0.1, unreachable_s=0.0)))
    assert time.monotonic() - begun >= 0.1 + 0.2 + 0.4


def test_no_attempt_begins_after_the_whole_time(serve: Serve) -> None:
    server = serve(failing(*[500] * 50))
    (error,) = post(Client([server.url], bounds=Bounds(attempts=50, total_s=0.3, backoff_s=0.1)))
    assert error.scope == "request"
    assert 1 <= len(server.asked) < 10


def test_an_answer_that_does_not_end_is_given_up(serve: Serve) -> None:
    def trickle() -> Iterator[bytes]:
        while True:
            yield b" "
            time.sleep(0.05)

    server = serve(lambda asked: Reply(200, trickle()))
    (error,) = post(Client([server.url], bounds=Bounds(attempts=1, timeout_s=0.3)))
    assert str(error) == "not answered in 1 attempt; the last one: no whole answer came within 0.3 s"

    async def get() -> Any:
        client = Client([server.url], bounds=Bounds(attempts=1, timeout_s=0.3))
        return await client.get(server.url, "/version")

    with pytest.raises(RequestError, match=r"no whole answer came within 0\.3 s"):
        asyncio.run(get())


def test_an_answer_without_an_end_is_not_asked_for_again(serve: Serve) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * 2**16

    server = serve(lambda asked: Reply(200, endless()))
    (error,) = post(Client([server.url]))
    assert (str(error), error.scope) == ("an answer of more than 1048576 bytes", "request")
    assert len(server.asked) == 1


def test_a_page_is_got_beside_v1_and_waited_for_while_the_server_starts(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avemo_harness.http.sleep", pass_over)
    server = serve(failing(*[503] * 12))
    client = Client([f"{server.url.removesuffix('/v1')}/api/v1"], bounds=QUICK)
    assert asyncio.run(client.get(client.urls[0], "/version", ready_s=60.0)) == {"path": "/api/version"}
    assert len(server.asked) == 13
    with pytest.raises(RequestError, match=r"not answered in 3 attempts; the last one: the server answered 503: busy"):
        asyncio.run(Client([url := serve(failing(*[503] * 3)).url], bounds=QUICK).get(url, "/version"))


def test_the_key_is_sent_and_never_told(serve: Serve) -> None:
    server = serve(lambda asked: as_json({"detail": f"not {asked.headers['authorization']}"}, 401))
    (error,) = post(Client([server.url], KEY))
    assert "not Bearer ***" in str(error)
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_proxy_of_the_environment_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(lambda asked: as_json({"path": "/v1/ask"}))
    monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1").removeprefix("http://"))
    assert answered(post(Client(["http://gpu-box.invalid:8000/v1"], bounds=QUICK))) == 1
    assert proxy.asked[0].path == "http://gpu-box.invalid:8000/v1/ask"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("value", ["http://127.0.0.1:9", "socks://127.0.0.1:1080/", "socks5://127.0.0.1:1080"])
def test_this_machine_is_never_asked_through_a_proxy(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    server = serve(well)
    for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
        assert answered(post(Client([url], bounds=QUICK))) == 1


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ALL_PROXY", "socks://127.0.0.1:1080/", "ALL_PROXY=socks://127.0.0.1:1080 is no http, https or socks5 proxy"),
        ("http_proxy", "http://[::1", "http_proxy names no proxy"),
        ("HTTP_PROXY", "http://someone:hush@127.0.0.1:bad", "HTTP_PROXY names no proxy"),
        ("ALL_PROXY", "ftp://someone:hush@host", "ALL_PROXY=ftp://host is no http"),
        ("SSL_CERT_FILE", "/nonexistent/ca.pem", "SSL_CERT_FILE=/nonexistent/ca.pem: there are no certificates"),
        ("SSL_CERT_DIR", "/nonexistent", "SSL_CERT_DIR=/nonexistent: there are no certificates"),
        ("SSL_CERT_FILE", __file__, f"SSL_CERT_FILE={__file__} cannot be used for TLS"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as caught:
        Client(["http://gpu-box.invalid:8000/v1"])
    assert str(caught.value).startswith(told)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_socks_proxy_needs_a_package_unless_the_host_is_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avemo_harness.http.find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(UsageError, match=r"^ALL_PROXY names a SOCKS proxy, which needs pip install 'httpx\[socks\]'"):
        Client(["http://gpu-box.invalid:8000/v1"])
    monkeypatch.setenv("NO_PROXY", "example.org,gpu-box.invalid")
    Client(["http://gpu-box.invalid:8000/v1"])


@pytest.mark.parametrize("value", ["two\nlines", "ключ"])
def test_a_key_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(UsageError, match="the environment variable MY_KEY holds no key"):
        read_key("MY_KEY")
    monkeypatch.setenv("MY_KEY", " \n")
    assert read_key("MY_KEY") is None
