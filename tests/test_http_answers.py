"""Answers of servers are read within limits, and their errors are told in a line."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.reply_server import ReceivedRequest, Reply, events, replying

from avemo_harness.http_answers import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_MESSAGE_LENGTH,
    AnswerError,
    parse_json,
    read_body,
    read_events,
    read_lines,
    read_start,
    retry_after_s,
    server_message,
)

MOST = 2**20


class Pieces(httpx.AsyncByteStream):
    """A body that comes in given pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = pieces

    async def __aiter__(self):  # type: ignore[no-untyped-def]  # (an asynchronous generator)
        for piece in self.pieces:
            yield piece


def response_of(*pieces: bytes, **headers: str) -> httpx.Response:
    return httpx.Response(
        200, headers={name.replace("_", "-"): value for name, value in headers.items()}, stream=Pieces(pieces)
    )


def lines_of(*pieces: bytes) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [line async for line in read_lines(response_of(*pieces), MOST)]

    return asyncio.run(collect())


def read_from_server(reply: Reply, read: Callable[[httpx.Response], Awaitable[Any]]) -> Any:
    """The reading of an answer of a real server."""

    async def ask(url: str) -> Any:
        async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as response:
            return await read(response)

    def answer(asked: ReceivedRequest) -> Reply:
        return reply

    with replying(answer) as server:
        return asyncio.run(ask(server.url))


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r"])
def test_streams_are_cut_at_cr_and_lf_alone(separator: str, end: str) -> None:
    told = [{"text": f"happy{separator}and so on"}, {"text": "well"}]
    body = "".join(f'data: {{"text": "{one["text"]}"}}{end}' for one in told) if separator > "\x1f" else None
    reply = events(*told, end=end) if body is None else Reply(200, body.encode())
    assert read_from_server(reply, lambda response: read_events(response, MOST)) == told


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"data", "\u2028".encode()]), max_size=12), st.data())
def test_where_a_body_is_split_makes_no_difference(parts: list[bytes], data: st.DataObject) -> None:
    body = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=4)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    expected = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert lines_of(*pieces) == [*expected, b""]


def test_an_event_may_take_several_lines_and_the_last_may_be_left_open() -> None:
    body = b': ping\n\nevent: message\ndata: {"a":\ndata: 1}\nid: 7\n\ndata: [DONE]\n\ndata: {"b": 2}'
    assert asyncio.run(read_events(response_of(body), MOST)) == [{"a": 1}, {"b": 2}]


def test_a_byte_order_mark_is_no_part_of_a_stream() -> None:
    for cut in (1, 2, 3, 9):
        body = "\ufeffdata: 1\n\n".encode()
        assert asyncio.run(read_events(response_of(body[:cut], body[cut:]), MOST)) == [1]


@pytest.mark.parametrize("ending", ["left open", "cut"])
def test_a_stream_that_said_it_is_done_is_whole_whatever_becomes_of_the_connection(
    monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr("avemo_harness.http_answers.LINGER_S", 0.05)

    class Unended(httpx.AsyncByteStream):
        def __init__(self, told: bytes) -> None:
            self.told = told

        async def __aiter__(self):  # type: ignore[no-untyped-def]  # (an asynchronous generator)
            yield self.told
            if ending == "cut":
                raise httpx.RemoteProtocolError("incomplete chunked read")
            await asyncio.sleep(20)

    async def read(told: bytes) -> list[Any]:
        return await asyncio.wait_for(read_events(httpx.Response(200, stream=Unended(told)), MOST), 2.0)

    assert asyncio.run(read(b"data: 1\n\ndata: [DONE]\n\n")) == [1]
    with pytest.raises((httpx.RemoteProtocolError, asyncio.TimeoutError)):
        asyncio.run(read(b"data: 1\n\n"))


def test_an_event_that_is_named_error_is_one() -> None:
    body = b'event: error\ndata: {"message": "overloaded"}\n\ndata: {"a": 1}\n\n'
    assert asyncio.run(read_events(response_of(body), MOST)) == [{"error": {"message": "overloaded"}}, {"a": 1}]


def test_events_that_are_no_json_are_an_error() -> None:
    with pytest.raises(AnswerError, match="no JSON but"):
        asyncio.run(read_events(response_of(b"data: {\n\n"), MOST))


@given(st.binary(max_size=3000), st.integers(1, 700))
def test_a_compressed_body_is_read_whole(body: bytes, size: int) -> None:
    packed = gzip.compress(body)
    pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
    assert asyncio.run(read_body(response_of(*pieces, content_encoding="gzip"), MOST)) == body


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=2, max_size=4), st.integers(1, 90))
def test_a_compressed_body_may_be_several_files_in_a_row(bodies: list[bytes], size: int) -> None:
    packed = b"".join(map(gzip.compress, bodies))
    pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
    assert asyncio.run(read_body(response_of(*pieces, content_encoding="gzip"), MOST)) == b"".join(bodies)


def test_what_follows_a_compressed_body_is_not_read() -> None:
    read = list[int]()

    def longer() -> Iterable[bytes]:
        yield gzip.compress(b"well")
        for number in range(1000):
            read.append(number)
            yield b"x" * 2**16

    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Pieces(longer()))
    assert asyncio.run(read_body(response, MOST)) == b"well"
    assert len(read) == 1


@pytest.mark.parametrize(
    ("body", "encoding", "told"),
    [
        (gzip.compress(b"well and good")[:-9], "gzip", "whose compression is cut off"),
        (b"no gzip", "gzip", "whose compression is damaged"),
        (b"x", "br", "compressed as 'br', which was not asked for"),
        (b"x" * (MOST + 1), "identity", f"an answer of more than {MOST} bytes"),
        (gzip.compress(b"x" * (MOST + 1)), "gzip", f"an answer of more than {MOST} bytes"),
    ],
    ids=["cut", "no gzip", "another compression", "long", "long when decompressed"],
)
def test_what_cannot_be_read_whole_is_an_error(body: bytes, encoding: str, told: str) -> None:
    with pytest.raises(AnswerError, match=told):
        asyncio.run(read_body(response_of(body, content_encoding=encoding), MOST))


def test_of_a_body_without_an_end_only_the_beginning_is_read() -> None:
    def endless() -> Iterable[bytes]:
        while True:
            yield b"oops " * 1000

    reply = Reply(500, endless())
    assert read_from_server(reply, lambda response: read_start(response, 9)) == b"oops oops"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"[" * 400 + b"]" * 400, f"JSON of more than {MAX_DEPTH} levels"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, f"JSON of more than {MAX_DEPTH} levels"),
        (b"[" * 200_000 + b"]" * 200_000, f"more than {MAX_DEPTH} levels"),
        (b"[" + b"[]," * MAX_ELEMENTS + b"[]]", f"JSON of more than {MAX_ELEMENTS} values"),
        (b"1" * 100_000, "no JSON but"),
        (b"\xff\xfe\x00", "no JSON but"),
        (b"<html><title>502 Bad Gateway</title><h1>oh</h1></html>", "no JSON but '502 Bad Gateway'"),
    ],
    ids=["levels", "levels of objects", "levels that no parser takes", "values", "digits", "bytes", "page"],
)
def test_json_is_bounded(data: bytes, told: str) -> None:
    with pytest.raises(AnswerError, match=told):
        parse_json(data)


def test_long_lists_and_marks_inside_of_strings_are_no_levels() -> None:
    told = {"text": "[{" * 500, "parts": [{"n": [number]} for number in range(200)]}
    assert parse_json(json.dumps(told).encode()) == told


def test_a_stream_of_many_values_is_bounded() -> None:
    with pytest.raises(AnswerError, match=f"a stream of more than {MAX_ELEMENTS} values"):
        asyncio.run(read_events(response_of((b"data: " + b"[" + b"0," * 1023 + b"0]\n\n") * 513), 2**25))


HOSTILE = """
import asyncio, resource, sys
from avemo_harness.http import Bounds, Client
from avemo_harness.http_answers import parse_json, read_body, read_events
from avemo_harness.http_answers import RequestError
from avemo_harness.errors import ModelError

async def ask(mode):
    client = Client([f"http://127.0.0.1:{sys.argv[1]}/v1"], bounds=Bounds(attempts=6, timeout_s=20.0, backoff_s=0.01))
    most = client.bounds.max_bytes
    async def whole(response):
        return parse_json(await read_body(response, most))
    async def streamed(response):
        return await read_events(response, most)
    try:
        if mode.startswith("get"):
            return await client.get(client.urls[0], "/" + mode)
        await client.post("/" + mode, {"content": b"{}"}, streamed if "stream" in mode else whole)
    except RequestError as error:
        return str(error)

def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

asyncio.run(ask("small"))
for mode in sys.argv[2:]:
    before = used()
    told = asyncio.run(ask(mode))
    print(mode, int(used() - before), told, sep="\\t")
"""


def hostile(asked: ReceivedRequest) -> Reply:
    """Endless bodies and bombs, by the last part of the path."""

    def endless(piece: bytes) -> Iterable[bytes]:
        while True:
            yield piece

    mode = asked.path.rpartition("/")[2]
    packed = {"Content-Encoding": "gzip"}
    event = b"data: " + json.dumps({"choices": [{"delta": {"content": "x" * 100}}]}).encode() + b"\n\n"
    if mode.endswith("bomb"):
        return Reply(200, BOMB, packed)
    bodies = {"endless": b" " * 2**20, "events": event * 1000, "line": b"x" * 2**20, "empty": b"data: {}\n\n" * 1000}
    for name, piece in bodies.items():
        if mode.endswith(name):
            return Reply(200, endless(piece))
    return Reply(200, b"[" + b"[]," * 2**22 + b"[]]" if mode.endswith("values") else b"{}")


def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(bytes(2**20)) for _ in range(400)), packer.flush()])


BOMB = _bomb()
MODES = ("get-endless", "get-bomb", "get-values", "endless", "bomb", "values")
STREAMS = ("stream-events", "stream-line", "stream-empty", "stream-bomb")


@pytest.mark.slow
def test_whatever_a_server_sends_memory_and_time_are_bounded() -> None:
    with replying(hostile) as server:
        argv = [sys.executable, "-c", textwrap.dedent(HOSTILE), str(server.port), *MODES, *STREAMS]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    told = {mode: (int(grown), said) for mode, grown, said in (line.split("\t") for line in done.stdout.splitlines())}
    assert set(told) == {*MODES, *STREAMS}
    assert {mode: grown for mode, (grown, _) in told.items() if grown > 100} == {}
    assert all("more than" in said for mode, (_, said) in told.items() if mode != "get-values"), told


def test_a_server_may_say_when_to_come_back() -> None:
    soon = datetime.now(timezone.utc) + timedelta(seconds=20)
    assert retry_after_s(format_datetime(soon, usegmt=True)) == pytest.approx(20, abs=2)
    assert [retry_after_s(value) for value in ("7", "-7", "", "²", "nan")] == [7.0, None, None, None, None]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"error": {"message": "too long", "code": 400}}', "too long"),
        (b'{"detail": [{"msg": "field required"}]}', '[{"msg": "field required"}]'),
        (b'{"message": "busy"}', "busy"),
        (b"<html>\n<h1>502</h1><script>if (1 < 2) x()</script> <i>nginx</i>", "502 nginx"),
        (b"\xff\x00\x1b[31mred", "\N{REPLACEMENT CHARACTER}[31mred"),
        (b"", ""),
        (b"[" * 100_000, "[" * MAX_MESSAGE_LENGTH),
    ],
)
def test_a_message_is_found_wherever_a_server_puts_it(body: bytes, told: str) -> None:
    assert server_message(body) == told


def test_a_message_is_short() -> None:
    assert len(server_message(b"word " * 10_000)) == MAX_MESSAGE_LENGTH
